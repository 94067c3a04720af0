"""What the doctor finds in a ready .onnx file, and the remedies that are safe: all in disposable children."""
