"""ONNX Runtime: the runtime that serves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.ports.runtime import NO_OPTIONS
from onnxyard.runtimes.ep_context import check_context
from onnxyard.runtimes.extensions import open_session
from onnxyard.runtimes.inputs import check_inputs, shapes_of
from onnxyard.runtimes.options import settled
from onnxyard.runtimes.providers.catalogue import provider_named
from onnxyard.runtimes.providers.cpu import CPU
from onnxyard.runtimes.providers.sessions import session_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    def load(model_file: Path, *, provider: str, threads: int, options: Mapping[str, str] = NO_OPTIONS) -> OrtModel:
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
        return OrtModel(_session(model_file, provider, threads, options))

    @staticmethod
    def load_bytes(model: bytes) -> OrtModel:
        """A small model of our own making, on the CPU with one thread. Raises as `load`."""
        return OrtModel(_session(model, CPU.name, 1, NO_OPTIONS))

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

        They are nodes of the graph as it was rewritten at load: fused ones are one. Raises as `load` and
        `OrtModel.run`.
        """
        with TemporaryDirectory() as scratch:
            session = _session(model_file, provider, threads, options, profile=Path(scratch, "profile"))
            OrtModel(session).run(inputs)
            events = json.loads(Path(session.end_profiling()).read_bytes())
        # A node inside a loop runs many times.
        executed = {
            (event["args"]["provider"], event["name"], event["args"]["node_index"])
            for event in events
            if event.get("cat") == "Node" and "provider" in event["args"]
        }
        return dict(Counter(provider for provider, *_ in sorted(executed)))


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
        check_inputs(self._signature, inputs)
        feed = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:
            values = self._session.run(self._outputs, feed)
        except ort_errors.InvalidArgument as error:
            raise InvalidRequestError(f"ONNX Runtime refuses these inputs: {_first_line(error)}") from error
        except (ort_errors.Fail, ort_errors.RuntimeException, ort_errors.NotImplemented) as error:
            raise UnsupportedModelError(
                f"The model fails on inputs of the shapes {shapes_of(inputs)}: {_first_line(error)}"
            ) from error
        return dict(zip(self._outputs, values, strict=True))


def _session(
    model: Path | bytes, name: str, threads: int, given: Mapping[str, str], *, profile: Path | None = None
) -> ort.InferenceSession:
    provider = provider_named(name)
    settled_options = settled(provider.options, given, of=provider.name)
    if lack := provider.lack():
        raise lack.error()
    options = session_options(settled_options, threads)
    if provider is not CPU:
        # Without it, nodes that the provider cannot run go to the CPU without a word.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    session = _open(model, provider.attach(options, settled_options, threads), options)
    if session.get_providers()[:1] != [provider.name]:
        raise UnsupportedModelError(
            f"{provider.name} was asked for, but the session runs on {', '.join(session.get_providers())}.",
            where=_where(model),
        )
    check_context(session.get_modelmeta().custom_metadata_map, where=_where(model))
    return session


def _open(model: Path | bytes, providers: Sequence[Any], options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return open_session(model, options, providers)
    except (
        ort_errors.InvalidArgument,  # "No graph was found in the protobuf", as in an empty file
        ort_errors.InvalidProtobuf,
        ort_errors.NoModel,
        ort_errors.NoSuchFile,
    ) as error:
        raise ArtifactCorruptError(
            f"ONNX Runtime cannot read the model: {_first_line(error)}", where=_where(model)
        ) from error
    except (
        ort_errors.InvalidGraph,
        ort_errors.NotImplemented,
        ort_errors.EPFail,
        ort_errors.Fail,
        ort_errors.RuntimeException,
    ) as error:
        raise UnsupportedModelError(
            f"ONNX Runtime {ort.__version__} cannot run the model: {_first_line(error)}", where=_where(model)
        ) from error


def _where(model: Path | bytes) -> str:
    return "" if isinstance(model, bytes) else str(model)


def _spec(value: ort.NodeArg) -> TensorSpec:
    inner = value.type.removeprefix("tensor(").removesuffix(")")
    if inner not in _DTYPES or not value.type.startswith("tensor("):
        raise UnsupportedModelError(f"{value.name!r} is a {value.type}; models take and give plain tensors only.")
    axes = enumerate(value.shape or ())
    return TensorSpec(value.name, _DTYPES[inner], tuple(_axis(value.name, at, axis) for at, axis in axes))


def _axis(tensor: str, at: int, axis: int | str | None) -> int | str:
    return f"{tensor}.{at}" if axis is None else axis


def _first_line(error: Exception) -> str:
    lines: Sequence[str] = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ", 3)[-1]  # behind "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : "
