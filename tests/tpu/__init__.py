"""Tests that run in an environment of their own, which has torch-xla: make test-tpu."""
