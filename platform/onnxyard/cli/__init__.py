"""The `onnxyard` command."""
