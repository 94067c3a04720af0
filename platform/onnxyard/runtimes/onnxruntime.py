"""ONNX Runtime: the runtime that serves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.ports.runtime import NO_OPTIONS
from onnxyard.runtimes.fixed_shapes import FixedShapes, lengths_of
from onnxyard.runtimes.graph import read_graph
from onnxyard.runtimes.inputs import InputCheck, shapes_of
from onnxyard.runtimes.ort_session import assigned, first_line, open_on
from onnxyard.runtimes.providers.catalogue import provider_named
from onnxyard.runtimes.providers.cpu import CPU

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnxruntime as ort

    from onnxyard.ports.runtime import LoadedModel

_DTYPES = {"float": "FLOAT", "double": "DOUBLE", "float16": "FLOAT16", "bfloat16": "BFLOAT16", "string": "STRING"}
_DTYPES |= {name: name.upper() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
_DTYPES |= {"bool": "BOOL"}


class OnnxRuntime:
    """The `Runtime` port over ONNX Runtime.

    Attributes:
        options: Those of the CPU provider; others have others (`onnxyard.runtimes.runtime.options_of`).
        numeric: Likewise.
    """

    options: ClassVar[Mapping[str, tuple[str, ...]]] = CPU.options
    numeric: ClassVar[frozenset[str]] = CPU.numeric

    @staticmethod
    def load(model_file: Path, *, provider: str, threads: int, options: Mapping[str, str] = NO_OPTIONS) -> LoadedModel:
        """Load a model whose digest was verified; external data is found beside it.

        Args:
            model_file: The ONNX file, or the `.ort` file that it was converted to.
            provider: A verified execution provider, as `CPUExecutionProvider`.
            threads: Intra-op threads; 0 lets ORT choose.
            options: What differs from the provider's defaults.

        Raises:
            UnsupportedModelError: the provider is not verified, has no device here, or would silently give way to
                another; or it has no kernel for an operator.
            ArtifactCorruptError: the file is missing, cut short or not a model.
            InvalidRequestError: the provider has no such option, or it takes other values.
            MissingExtraError: the provider's package is not installed; or the graph uses operators of
                onnxruntime-extensions, which is not.
        """
        chosen = provider_named(provider)

        def load(lengths: Mapping[str, int]) -> OrtModel:
            return OrtModel(open_on(chosen, model_file, threads=threads, given=options, lengths=lengths))

        if chosen.fixed_shapes:
            return FixedShapes(read_graph(model_file).signature, load)
        return load({})

    @staticmethod
    def load_bytes(model: bytes) -> OrtModel:
        """A small model of our own making, on the CPU with one thread. Raises as `load`."""
        return OrtModel(open_on(CPU, model, threads=1, given=NO_OPTIONS))

    @staticmethod
    def placement(
        model_file: Path,
        *,
        provider: str,
        threads: int,
        options: Mapping[str, str] = NO_OPTIONS,
        inputs: Mapping[str, np.ndarray],
    ) -> dict[str, int]:
        """Run the model once under ONNX Runtime's profiler: how many nodes each provider executed.

        They are nodes of the graph as it was rewritten at load: fused ones are one. What a provider compiled as a whole
        counts as the nodes that it took. Raises as `load` and `OrtModel.run`.
        """
        chosen = provider_named(provider)
        lengths = lengths_of(read_graph(model_file).signature, inputs) if chosen.fixed_shapes else {}
        with TemporaryDirectory() as scratch:
            session = open_on(
                chosen, model_file, threads=threads, given=options, lengths=lengths, profile=Path(scratch, "profile")
            )
            OrtModel(session).run(inputs)
            events = json.loads(Path(session.end_profiling()).read_bytes())
        # A node inside a loop runs many times.
        executed = {
            (event["args"]["provider"], event["name"], event["args"]["node_index"])
            for event in events
            if event.get("cat") == "Node" and "provider" in event["args"]
        }
        counted = Counter(name for name, *_ in sorted(executed))
        taken = Counter[str]() if chosen is CPU else assigned(session)
        return {name: max(count, taken[name]) for name, count in counted.items()}


class OrtModel:
    """A `LoadedModel` over one session. Sessions are thread-safe, so many threads may call `run` at once."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._runtime = provider_named(self.provider).runtime
        self._signature = Signature(
            tuple(_spec(value) for value in session.get_inputs()),
            tuple(_spec(value) for value in session.get_outputs()),
        )
        self._outputs = [spec.name for spec in self._signature.outputs]
        self._check = InputCheck(self._signature)
        self._compiled = session._sess  # noqa: SLF001 - see `run`

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def runtime(self) -> str:
        return self._runtime

    @property
    def provider(self) -> str:
        return str(self._session.get_providers()[0])

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name.

        Raises:
            InvalidRequestError: a wrong name, dtype or shape.
            UnsupportedModelError: the graph fails on inputs that its signature allows, as with a batch baked in.
        """
        feed = self._check(inputs)
        try:
            # Not the session's own `run`: where a provider fails, that prints so and goes on with another one.
            values = self._compiled.run(self._outputs, feed, None)
        except ort_errors.InvalidArgument as error:
            raise InvalidRequestError(f"ONNX Runtime refuses these inputs: {first_line(error)}") from error
        except (ort_errors.Fail, ort_errors.RuntimeException, ort_errors.NotImplemented) as error:
            raise UnsupportedModelError(
                f"The model fails on inputs of the shapes {shapes_of(inputs)}: {first_line(error)}"
            ) from error
        return dict(zip(self._outputs, values, strict=True))


def _spec(value: ort.NodeArg) -> TensorSpec:
    inner = value.type.removeprefix("tensor(").removesuffix(")")
    if inner not in _DTYPES or not value.type.startswith("tensor("):
        raise UnsupportedModelError(f"{value.name!r} is a {value.type}; models take and give plain tensors only.")
    axes = enumerate(value.shape or ())
    return TensorSpec(value.name, _DTYPES[inner], tuple(_axis(value.name, at, axis) for at, axis in axes))


def _axis(tensor: str, at: int, axis: int | str | None) -> int | str:
    return f"{tensor}.{at}" if axis is None else axis
