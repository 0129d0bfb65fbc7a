"""Your models: one file an architecture, one a task, each named in YAML by its dotted path."""
