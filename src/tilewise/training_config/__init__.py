"""How models are trained, as a recipe says it: what predicting reads of a recipe, without the code that trains."""
