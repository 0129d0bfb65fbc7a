"""One training: built, tried, run, resumed, predicted, scored."""
