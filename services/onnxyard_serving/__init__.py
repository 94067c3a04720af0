"""The data plane: Open Inference Protocol V2 over ONNX Runtime."""
