"""A table of samples, its payload, a batch of it, and the order in which batches come."""
