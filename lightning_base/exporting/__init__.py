"""A run made to stand alone: its graph, its fitted preprocessing, and the proof that both answer as the run does."""
