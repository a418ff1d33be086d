"""Feature vectors of tiles, one bag per slide."""
