"""lightning-base: from raw data to a model you can trust, from one YAML file."""

__version__ = "0.1.0"
