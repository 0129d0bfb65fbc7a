"""What each verb does: words, files or objects become an experiment, and the experiment's work a result."""
