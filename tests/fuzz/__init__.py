"""Everything that is read is bent at random, by fixed seeds."""
