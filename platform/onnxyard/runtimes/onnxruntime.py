"""ONNX Runtime: the runtime that serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from onnxyard.errors import ArtifactCorruptError, InvalidRequestError, UnsupportedModelError
from onnxyard.lifecycle.signature import Signature, TensorSpec
from onnxyard.runtimes.extensions import open_session
from onnxyard.runtimes.inputs import check_inputs, shapes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

VERIFIED_PROVIDERS = frozenset({"CPUExecutionProvider"})
"""Providers whose answers our tests compare with the source framework's. A new one is added together with its tests."""

_FATAL = 4
"""ORT's own log level: everything it logs below it also comes back as an exception or is read from the session."""
_DTYPES = {"float": "FLOAT", "double": "DOUBLE", "float16": "FLOAT16", "bfloat16": "BFLOAT16", "string": "STRING"}
_DTYPES |= {name: name.upper() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
_DTYPES |= {"bool": "BOOL"}


class OnnxRuntime:
    """The `Runtime` port over ONNX Runtime."""

    @staticmethod
    def load(model_file: Path, *, provider: str, threads: int) -> OrtModel:
        """Load a model whose digest was verified; external data is found beside it.

        Args:
            model_file: The ONNX file.
            provider: A verified execution provider, as `CPUExecutionProvider`.
            threads: Intra-op threads; 0 lets ORT choose.

        Raises:
            UnsupportedModelError: the provider is not verified or would silently give way to another; or ORT has no
                kernel for an operator.
            ArtifactCorruptError: the file is missing, cut short or not a model.
            MissingExtraError: it uses operators of onnxruntime-extensions, which is not installed.
        """
        if provider not in VERIFIED_PROVIDERS:
            raise UnsupportedModelError(
                f"The execution provider {provider!r} is not verified for ONNX Runtime {ort.__version__}.",
                remedy=f"Verified: {', '.join(sorted(VERIFIED_PROVIDERS))}.",
            )
        if provider not in ort.get_available_providers():
            # Asked for it nevertheless, ORT would only log a warning and run on the CPU.
            raise UnsupportedModelError(
                f"This ONNX Runtime has no {provider}.", remedy=f"It has {', '.join(ort.get_available_providers())}."
            )
        session = _open(model_file, provider, _options(provider, threads))
        if session.get_providers()[:1] != [provider]:
            raise UnsupportedModelError(
                f"{provider} was asked for, but the session runs on {', '.join(session.get_providers())}.",
                where=str(model_file),
            )
        return OrtModel(session)

    @staticmethod
    def load_bytes(model: bytes) -> OrtModel:
        """A small model of our own making, on the CPU with one thread. Raises as `load`."""
        return OrtModel(_open(model, "CPUExecutionProvider", _options("CPUExecutionProvider", 1)))


class OrtModel:
    """A `LoadedModel` over one session. Sessions are thread-safe, so many threads may call `run` at once."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
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
        return f"onnxruntime {ort.__version__}"

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


def _options(provider: str, threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if provider != "CPUExecutionProvider":
        # Without it, nodes that the provider cannot run go to the CPU without a word.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _open(model: Path | bytes, provider: str, options: ort.SessionOptions) -> ort.InferenceSession:
    where = "" if isinstance(model, bytes) else str(model)
    try:
        return open_session(model, options, [provider])
    except (
        ort_errors.InvalidArgument,  # "No graph was found in the protobuf", as in an empty file
        ort_errors.InvalidProtobuf,
        ort_errors.NoModel,
        ort_errors.NoSuchFile,
    ) as error:
        raise ArtifactCorruptError(f"ONNX Runtime cannot read the model: {_first_line(error)}", where=where) from error
    except (
        ort_errors.InvalidGraph,
        ort_errors.NotImplemented,
        ort_errors.EPFail,
        ort_errors.Fail,
        ort_errors.RuntimeException,
    ) as error:
        raise UnsupportedModelError(
            f"ONNX Runtime {ort.__version__} cannot run the model: {_first_line(error)}", where=where
        ) from error


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
