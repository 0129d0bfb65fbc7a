"""What the machine can do, and whether an experiment fits it."""
