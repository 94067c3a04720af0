"""Execution providers of ONNX Runtime: what each needs, what can be tuned, how a session is given to it."""
