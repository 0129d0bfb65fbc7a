"""What runs have left: typed, read and compared without torch."""
