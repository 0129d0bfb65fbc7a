"""Which process has which share of the work, and how a queue is asked for processes."""
