"""Answers of exported models over HTTP; neither torch nor training is imported."""
