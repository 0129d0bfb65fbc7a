"""Tasks of one kind each, written as a user writes them: outside the package, in a file of their own."""
