"""How long answers take: the bare model in a loop, the served one under load, and what stands between the two."""
