"""Uploaded bytes, folders and ZIPs come in; de-identified `Scan`s, refusals and warnings go out."""
