"""Where a model comes from: one room per framework. Each stores what was fitted, runs it, and gives its ONNX graph."""
