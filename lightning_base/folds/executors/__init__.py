"""Where folds are trained: in this process, in several, as a Slurm array, or all in one batch."""
