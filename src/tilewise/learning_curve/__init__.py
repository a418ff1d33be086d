"""Would more slides help? The score against the number of slides."""
