"""ONNX Model Zoos: any mirror that holds an `ONNX_HUB_MANIFEST.json`."""
