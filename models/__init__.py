"""Your models: one file an architecture, one per task, each named in YAML by its dotted path."""
