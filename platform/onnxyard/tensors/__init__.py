"""Tensors on disk and their ONNX dtypes."""
