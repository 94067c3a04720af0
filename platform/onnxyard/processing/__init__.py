"""Pre- and postprocessing as part of the graph: steps of the project file, and the ONNX they become."""
