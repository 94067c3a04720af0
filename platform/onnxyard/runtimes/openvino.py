"""OpenVINO: reads ONNX natively. Computes in float32 unless it is told otherwise. Needs the extra `runtimes`."""

from __future__ import annotations

import threading
from collections import Counter
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from onnxyard.errors import ArtifactCorruptError, UnsupportedModelError
from onnxyard.ports.runtime import NO_OPTIONS
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.inputs import InputCheck, shapes_of
from onnxyard.runtimes.openvino_package import openvino
from onnxyard.runtimes.options import settled
from onnxyard.runtimes.outputs import check_outputs
from onnxyard.runtimes.providers.lack import Lack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onnxyard.lifecycle.signature import Signature

VERIFIED_DEVICES = frozenset({"CPU"})
"""Devices whose answers our tests compare with the source framework's."""
_OTHER_DEVICES = {"GPU": "a GPU by Intel", "NPU": "an NPU by Intel"}
_HINTS = {"latency": "LATENCY", "throughput": "THROUGHPUT"}
_FLAGS = {"on": "YES", "off": "NO"}


class OpenVino:
    """The `Runtime` port over OpenVINO.

    Attributes:
        options: `precision` is what it computes in; on processors with AMX its own default would be bfloat16 (error
            3e-3 instead of 2.5e-7), chosen without a word. `hint` divides the threads into streams, one for latency.
            `pinning` ties threads to cores: two processes that do so on the same cores disturb each other.
    """

    options: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {"precision": ("f32", "bf16", "f16"), "hint": ("latency", "throughput"), "pinning": ("on", "off")}
    )
    numeric: ClassVar[frozenset[str]] = frozenset({"precision"})

    @staticmethod
    def load(
        model_file: Path, *, provider: str, threads: int, options: Mapping[str, str] = NO_OPTIONS
    ) -> OpenVinoModel:
        """Load a model whose digest was verified; external data is found beside it.

        Args:
            model_file: The ONNX file.
            provider: A verified device, as `CPU`.
            threads: Inference threads; 0 lets OpenVINO choose.
            options: What differs from the defaults.

        Raises:
            UnsupportedModelError: the device is not verified or not the one that runs it; OpenVINO lacks an operator;
                this processor does not compute in the precision.
            ArtifactCorruptError: the file is missing, cut short or not a model.
            InvalidRequestError: there is no such option, or it takes other values.
        """
        return _load(model_file, provider, threads, options, {})

    @staticmethod
    def placement(
        model_file: Path,
        *,
        provider: str,
        threads: int,
        options: Mapping[str, str] = NO_OPTIONS,
        inputs: Mapping[str, np.ndarray],
    ) -> dict[str, int]:
        """Run the model once with OpenVINO's counters on: how many nodes it executed, by device and precision.

        They are nodes of the graph as it was compiled: fused ones are one, and conversions of precision and layout are
        nodes of their own. Raises as `load` and `OpenVinoModel.run`.
        """
        return _load(model_file, provider, threads, options, {"PERF_COUNT": "YES"}).executed(inputs)


class OpenVinoModel:
    """A `LoadedModel` over a compiled model. Each thread gets an infer request of its own."""

    def __init__(self, compiled: Any, signature: Signature, provider: str) -> None:  # noqa: ANN401 - untyped package
        names = {name for port in (*compiled.inputs, *compiled.outputs) for name in port.get_names()}
        wanted = {spec.name for spec in (*signature.inputs, *signature.outputs)}
        if lost := sorted(wanted - names):
            raise ArtifactCorruptError(f"OpenVINO does not see the tensor {lost[0]!r}.")
        self._compiled = compiled
        self._signature = signature
        self._check = InputCheck(signature)
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

    @property
    def precision(self) -> str:
        """What it computes floats in, read back from the compiled model, as `f32`."""
        return str(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: a wrong name, dtype or shape.
            UnsupportedModelError: the graph fails on inputs that its signature allows.
        """
        feed = self._check(inputs)
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        try:
            request.infer(feed, share_inputs=True, share_outputs=True)
            # The request reuses its output memory, so each answer is a copy.
            outputs = {spec.name: np.array(request.get_tensor(spec.name).data) for spec in self._signature.outputs}
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"The model fails on inputs of the shapes {shapes_of(inputs)}: {_gist(error)}"
            ) from error
        # A Reshape to a fixed length runs on any other without a word, and gives rows short or too many.
        check_outputs(self._signature, inputs, outputs)
        return outputs

    def executed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Run once: nodes that were executed, by device and precision. It needs counters. Raises as `run`."""
        self.run(inputs)
        nodes = {node.get_friendly_name(): node.get_rt_info() for node in self._compiled.get_runtime_model().get_ops()}
        counted = Counter(
            f"{self._provider} {_precision(nodes, node)}"
            for node in self._local.request.profiling_info
            if node.status == openvino.ProfilingInfo.Status.EXECUTED
        )
        return dict(sorted(counted.items()))


def lack_of_device(device: str) -> Lack | None:
    """Why OpenVINO cannot run a model on this device here; None where it can."""
    if device in VERIFIED_DEVICES:
        return None
    if device == "AUTO":
        return Lack("AUTO lets OpenVINO choose: what was measured need not be what runs.", "Name the device: CPU.")
    if device in _OTHER_DEVICES and not any(each.startswith(device) for each in openvino.Core().available_devices):
        needs = _OTHER_DEVICES[device]
        return Lack(f"OpenVINO finds no {device} on this machine.", f"Run it on a machine with {needs} and its driver.")
    return Lack(
        f"The device {device!r} is not verified for OpenVINO {metadata.version('openvino')}.",
        f"Verified: {', '.join(sorted(VERIFIED_DEVICES))}.",
    )


def _load(
    model_file: Path, device: str, threads: int, given: Mapping[str, str], further: Mapping[str, str]
) -> OpenVinoModel:
    version = metadata.version("openvino")
    if (lack := lack_of_device(device)) is not None:
        raise lack.error()
    options = settled(OpenVino.options, given, of="OpenVINO")
    graph = read_graph(model_file)  # OpenVINO reports an unreadable file and an unknown operator alike
    config = {
        "INFERENCE_PRECISION_HINT": options["precision"],
        "PERFORMANCE_HINT": _HINTS[options["hint"]],
        "ENABLE_CPU_PINNING": _FLAGS[options["pinning"]],
        **further,
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(model_file), device, config)
        devices = list(compiled.get_property("EXECUTION_DEVICES"))
    except RuntimeError as error:
        raise UnsupportedModelError(
            f"OpenVINO {version} cannot run the model: {_gist(error)}", where=str(model_file)
        ) from error
    if devices != [device]:
        raise UnsupportedModelError(
            f"{device} was asked for, but the model runs on {', '.join(devices)}.", where=str(model_file)
        )
    model = OpenVinoModel(compiled, graph.signature, device)
    if model.precision != options["precision"]:
        # OpenVINO goes back to float32 without a word.
        raise UnsupportedModelError(
            f"{options['precision']} was asked for, but OpenVINO computes in {model.precision} on this processor.",
            where=str(model_file),
            remedy="Leave the option 'precision' out, or run on a processor with instructions for it.",
        )
    return model


def _precision(nodes: Mapping[str, Any], node: Any) -> str:  # noqa: ANN401 - untyped package
    """As the compiled graph has it; where that does not list the node, as its kernel is called (`jit_avx2_f32`)."""
    if node.node_name in nodes:
        return str(nodes[node.node_name]["runtimePrecision"].astype(str))
    return str(node.exec_type).rpartition("_")[2]


def _gist(error: RuntimeError) -> str:
    """OpenVINO's messages begin with its own source lines; the last line says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
