"""Every figure the README quotes, by one command each."""
