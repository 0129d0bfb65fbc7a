"""Whether the data may be trusted: leaks, pictures of what is trained on, wrong labels."""
