"""Folds planned, trained anywhere, collected."""
