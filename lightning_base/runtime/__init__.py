"""What an exported model answers with: numpy and onnxruntime alone, copied into each exported folder as it is."""
