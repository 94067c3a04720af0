# ruff: noqa: ARG002 - a program's shape
"""A framework of one class, used as Keras and JAX are: what a source in a toolchain does, without installing one."""

import json
import os
import signal

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError, UserCodeError
from onnxyard.sources.inside import Converted, Program


class Numpy(Program):
    """A linear model: what `train` returns is its matrix."""

    framework = f"numpy {np.__version__}"
    exporter = "by hand"

    def prepare(self, *, threads, deterministic):
        self.told = {"threads": threads, "deterministic": deterministic}

    def store(self, trained, folder):
        if not isinstance(trained, np.ndarray):
            raise UserCodeError(f"train returned a {type(trained).__name__}, not an array.")
        (folder / "weights.json").write_text(json.dumps(trained.tolist()))

    def adopt(self, checkpoint, folder):
        (folder / "weights.json").write_text(checkpoint.read_text())

    def restore(self, folder):
        try:
            self.weights = np.array(json.loads((folder / "weights.json").read_text()), np.float32)
        except (OSError, ValueError) as error:
            raise ArtifactCorruptError(f"The weights cannot be read: {error}") from error

    def answer(self, inputs):
        if os.environ.get("PLANTED") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return inputs["x"] @ self.weights

    def convert(self, example, axes, opset):
        if self.config.get("unsupported"):
            raise UnsupportedModelError("No translation for: frobnicate.", operators=["frobnicate"])
        weights = [numpy_helper.from_array(self.weights, "w"), numpy_helper.from_array(self.weights, "unused")]
        node = helper.make_node("MatMul", ["x", "w"], ["y"], name="linear")
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])
        made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["unk__7", 2])
        graph = helper.make_graph([node], "g", [given], [made], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return Converted(model, {"y": {"module": "linear", "kind": "Linear", "source": "fit.py:3"}}, ["planted"])


COMMANDS = Numpy().commands
