"""OpenVINO: reads ONNX natively. Computes in float32 unless the model itself says otherwise."""

from __future__ import annotations

import threading
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.inputs import check_inputs, shapes_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature

VERIFIED_DEVICES = frozenset({"CPU"})
"""Devices whose answers our tests compare with the source framework's."""


class OpenVino:
    """The `Runtime` port over OpenVINO."""

    @staticmethod
    def load(model_file: Path, *, provider: str, threads: int) -> OpenVinoModel:
        """Load a model whose digest was verified; external data is found beside it.

        Args:
            model_file: The ONNX file.
            provider: A verified device, as `CPU`.
            threads: Inference threads; 0 lets OpenVINO choose.

        Raises:
            UnsupportedModelError: the device is not verified or not the one that runs it; OpenVINO lacks an operator.
            ArtifactCorruptError: the file is missing, cut short or not a model.
        """
        import openvino  # noqa: PLC0415 - the `runtimes` extra

        if provider not in VERIFIED_DEVICES:
            raise UnsupportedModelError(
                f"The device {provider!r} is not verified for OpenVINO {metadata.version('openvino')}.",
                remedy=f"Verified: {', '.join(sorted(VERIFIED_DEVICES))}.",
            )
        graph = read_graph(model_file)  # OpenVINO reports an unreadable file and an unknown operator alike
        # On processors with AMX its default is bfloat16 (error 3e-3 instead of 2.5e-7), chosen without a word.
        config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            config["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(model_file), provider, config)
            devices = list(compiled.get_property("EXECUTION_DEVICES"))
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"OpenVINO {metadata.version('openvino')} cannot run the model: {_gist(error)}", where=str(model_file)
            ) from error
        if devices != [provider]:
            raise UnsupportedModelError(
                f"{provider} was asked for, but the model runs on {', '.join(devices)}.", where=str(model_file)
            )
        return OpenVinoModel(compiled, graph.signature, provider)


class OpenVinoModel:
    """A `LoadedModel` over a compiled model. Each thread gets an infer request of its own."""

    def __init__(self, compiled: Any, signature: Signature, provider: str) -> None:  # noqa: ANN401 - untyped package
        names = {name for port in (*compiled.inputs, *compiled.outputs) for name in port.get_names()}
        wanted = {spec.name for spec in (*signature.inputs, *signature.outputs)}
        if lost := sorted(wanted - names):
            raise ArtifactCorruptError(f"OpenVINO does not see the tensor {lost[0]!r}.")
        self._compiled = compiled
        self._signature = signature
        self._provider = provider
        self._local = threading.local()

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def runtime(self) -> str:
        return f"openvino {metadata.version('openvino')}"

    @property
    def provider(self) -> str:
        return self._provider

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: a wrong name, dtype or shape.
            UnsupportedModelError: the graph fails on inputs that its signature allows.
        """
        check_inputs(self._signature, inputs)
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        try:
            request.infer({name: np.ascontiguousarray(array) for name, array in inputs.items()})
            # The request reuses its output memory, so each answer is a copy.
            outputs = {spec.name: np.array(request.get_tensor(spec.name).data) for spec in self._signature.outputs}
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"The model fails on inputs of the shapes {shapes_of(inputs)}: {_gist(error)}"
            ) from error
        self._check_outputs(inputs, outputs)
        return outputs

    def _check_outputs(self, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]) -> None:
        """OpenVINO runs a Reshape to a fixed length on any other without a word and gives rows short or too many."""
        lengths = {
            axis: length
            for spec in self._signature.inputs
            for axis, length in zip(spec.shape, inputs[spec.name].shape, strict=True)
        }
        for spec in self._signature.outputs:
            array = outputs[spec.name]
            wanted = [lengths.get(axis, axis) for axis in spec.shape]
            if len(wanted) != array.ndim or any(
                isinstance(want, int) and want != got for want, got in zip(wanted, array.shape, strict=True)
            ):
                raise UnsupportedModelError(
                    f"For inputs of the shapes {shapes_of(inputs)} the model gives {spec.name!r} the shape "
                    f"{list(array.shape)} instead of {wanted}."
                )


def _gist(error: RuntimeError) -> str:
    """OpenVINO's messages begin with its own source lines; the last line says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
