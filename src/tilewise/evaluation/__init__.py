"""How good are the predictions, and how sure is that: scores with intervals, beside guessing; comparisons."""
