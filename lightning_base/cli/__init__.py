"""Words to calls: the command line, and nothing else."""
