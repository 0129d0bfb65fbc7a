"""What is wrong with samples, and what is done about it."""
