"""Your data: one file a kind, each named in YAML by its dotted path."""
