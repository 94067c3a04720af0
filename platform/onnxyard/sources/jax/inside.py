"""The program inside the toolchain `jax`: trains, stores, runs and converts a function with its parameters.

A project's training file holds

    def model(config) -> apply                      apply(params, **inputs): one array, several, or a dict by name
    def train(splits, config, report) -> params     a pytree: dicts, lists and tuples of arrays
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxyard.errors import UnsupportedModelError, UserCodeError
from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.inside import Converted, Program
from onnxyard.sources.jax import pooling
from onnxyard.sources.jax.parameters import read_parameters, write_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_TRACE = "pkg.jax2onnx.jax_traceback"
_REPLACED = re.compile(r"patched\w*\(\) takes \d+ positional")
_BY_NAME = "jax2onnx puts a function of its own in this one's place: give all but its first argument by name."
_FRAME = re.compile(r"(?P<file>.+):(?P<line>\d+) \(")


@dataclass(frozen=True, slots=True)
class _Spec:
    """What jax2onnx wants to know of an input."""

    shape: tuple[int | str, ...]
    dtype: np.dtype


class Jax(Program):
    """See `onnxyard.sources.inside.Program`."""

    framework = f"jax {metadata.version('jax')}"
    exporter = f"jax2onnx {metadata.version('jax2onnx')} (jax {metadata.version('jax')})"

    def __init__(self) -> None:
        super().__init__()
        self._apply: Callable[..., Any] = _nothing
        self._parameters: Any = None
        self._compiled: Callable[..., Any] = _nothing

    def prepare(self, *, threads: int, deterministic: bool) -> None:  # noqa: ARG002 - XLA on a CPU always is
        if threads == 1:  # read when jax is imported; sums over parts depend on how many parts there are
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()

    def store(self, trained: Any, folder: Path) -> None:
        write_parameters(folder, trained)
        self.restore(folder)

    def adopt(self, checkpoint: Path, folder: Path) -> None:  # noqa: ARG002 - a program's shape
        raise UserCodeError("A jax project cannot start from a checkpoint.", where=checkpoint.name)

    def restore(self, folder: Path) -> None:
        import jax  # noqa: PLC0415 - after `prepare`

        self._apply = self.call("model", dict(self.config))
        if not callable(self._apply):
            raise UserCodeError(
                f"model returned a {type(self._apply).__name__}, not a function apply(params, **inputs)."
            )
        self._parameters = jax.tree.map(jax.numpy.asarray, read_parameters(folder))
        self._compiled = jax.jit(self._apply)

    def answer(self, inputs: Mapping[str, np.ndarray]) -> Any:
        return self._compiled(self._parameters, **inputs)

    def convert(self, example: Mapping[str, np.ndarray], axes: Mapping[str, list[int | str]], opset: int) -> Converted:
        import jax2onnx  # noqa: PLC0415 - after `prepare`

        def whole(*arrays: Any) -> tuple[Any, ...]:
            return tuple(self.named(self._apply(self._parameters, **dict(zip(example, arrays, strict=True)))).values())

        specs = [_Spec(tuple(axes[name]), values.dtype) for name, values in example.items()]
        try:
            model = jax2onnx.to_onnx(
                whole, inputs=specs, opset=opset, input_names=list(example), output_names=list(self.names)
            )
        except UserCodeError:
            raise
        except Exception as error:  # jax2onnx and jax raise whatever they stumble over, the user's code too
            missing = dict(self._unknown(whole, example)) if isinstance(error, NotImplementedError) else {}
            if missing:
                told = ", ".join(f"{name} ({place})" if place else name for name, place in missing.items())
                raise UnsupportedModelError(
                    f"jax2onnx has no translation for: {told}.",
                    where=next(iter(missing.values())),
                    remedy="Use other operations there.",
                    operators=sorted(missing),
                ) from error
            lines = str(error).strip().splitlines() or ["no reason given"]
            raise UnsupportedModelError(
                f"jax2onnx cannot convert the model: {type(error).__name__}: {lines[0]}",
                where=self.place(error),
                remedy=_BY_NAME if isinstance(error, TypeError) and _REPLACED.search(lines[0]) else "",
            ) from error
        origins = _origins(model, self.root)
        return Converted(model, origins, [pooling.REMEDY] if pooling.mend(model.graph, origins) else [])

    def _unknown(self, whole: Callable[..., Any], example: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
        """Every primitive that jax2onnx knows nothing of, with the line of the project it comes from."""
        import jax  # noqa: PLC0415 - after `prepare`
        from jax._src import source_info_util  # noqa: PLC0415 - nothing public tells an equation's line
        from jax.extend.core import jaxprs_in_params  # noqa: PLC0415 - after `prepare`
        from jax2onnx.plugins.plugin_system import PLUGIN_REGISTRY  # noqa: PLC0415 - as above

        def walk(jaxpr: Any) -> Iterator[tuple[str, str]]:
            for equation in jaxpr.eqns:
                name = equation.primitive.name
                inner = list(jaxprs_in_params(equation.params))
                if name not in PLUGIN_REGISTRY and not inner:
                    frame = source_info_util.user_frame(equation.source_info.traceback)
                    yield name, _relative(frame.file_name, frame.start_line, self.root) if frame else ""
                for each in inner:
                    yield from walk(each)

        yield from walk(jax.make_jaxpr(whole)(*example.values()).jaxpr)


def _nothing(*_: Any, **__: Any) -> Any:
    raise UserCodeError("No model was loaded.")


def _relative(file: str, line: int, root: Path) -> str:
    path = Path(file)
    return f"{path.relative_to(root).as_posix()}:{line}" if path.is_relative_to(root) else ""


def _origins(model: Any, root: Path) -> dict[str, dict[str, str]]:
    """Read jax2onnx's notes on where each node came from, and take them out: they name this machine's folders."""
    origins = {}
    for node in all_nodes(model.graph):
        notes = {entry.key: entry.value for entry in node.metadata_props}
        frames = (_FRAME.match(line) for line in notes.get(_TRACE, "").splitlines())  # the deepest first
        places = (_relative(frame["file"], int(frame["line"]), root) for frame in frames if frame)
        if place := next((place for place in places if place), ""):
            origins.update({name: {"module": "", "kind": "", "source": place} for name in node.output if name})
        del node.metadata_props[:]
    return origins


COMMANDS = Jax().commands
