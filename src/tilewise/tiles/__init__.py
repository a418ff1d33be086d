"""Which parts of a slide are looked at."""
