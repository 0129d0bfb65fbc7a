"""Your networks: one file per architecture, each a plain nn.Module that YAML names by its dotted path."""
