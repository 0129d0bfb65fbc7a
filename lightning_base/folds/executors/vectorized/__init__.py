"""Folds of a small network trained in one batch, by torch.func.vmap."""
