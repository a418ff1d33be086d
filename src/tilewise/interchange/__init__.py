"""Feature files of other programs, and tilewise's own: one file per format, one noun between them."""
