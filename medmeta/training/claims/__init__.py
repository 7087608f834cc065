"""The founding document's claims, one file each: what is measured, how, and whether the target was reached."""
