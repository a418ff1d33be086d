"""A search over the keys of a recipe, by validation alone, and one score of its winner on slides it never saw."""
