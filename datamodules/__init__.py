"""Your data: one file per kind, each a data module that YAML names by its dotted path."""
