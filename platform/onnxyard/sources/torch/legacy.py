"""From a torch module to an ONNX graph by torch.onnx's legacy exporter: opsets 7 to 20, from a trace of the example.

A trace follows one run: a Python branch or loop is frozen to what the example took. Such places are reported, because
nothing in the graph shows them.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import onnx
import torch

from onnxyard.runtimes.graph import all_nodes
from onnxyard.sources.sidecar import Origin
from onnxyard.sources.torch.dynamo import TORCH_ERRORS, in_order
from onnxyard.sources.torch.outputs import flat
from onnxyard.sources.torch.refusal import refusal
from onnxyard.sources.torch.scopes import innermost, module_path
from onnxyard.sources.torch.tree import plain_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxyard.sources.source import Asked
    from onnxyard.sources.torch.tree import SourceTree

OPSETS = range(7, 21)
"""Opsets it honours."""
EXPORTER = f"torch.onnx legacy {metadata.version('torch').partition('+')[0]}"
_FREEZES = re.compile(r"Converting a tensor to a Python|registered as constants in the trace")


@dataclass(frozen=True, slots=True)
class Traced:
    """What the legacy exporter gave.

    Attributes:
        model: The graph; large weights still lie in files beside the path it was written to.
        origins: By tensor name, from the scope in each node's name and the frames at which it was traced.
        frozen: Places at which Python looked at a value while tracing, as `file:line` (empty outside the project).
    """

    model: onnx.ModelProto
    origins: dict[str, Origin]
    frozen: tuple[str, ...]


@contextmanager
def traced(module: torch.nn.Module, asked: Asked, opset: int, source: SourceTree) -> Iterator[tuple[Path, Traced]]:
    """Export `module` into a folder that is gone afterwards.

    Args:
        module: In eval mode; its `forward` takes the inputs by name.
        asked: Example, names and axes.
        opset: One of OPSETS.
        source: Says which source files are the project's.

    Yields:
        The file as it was written, and what is known of it.

    Raises:
        UnsupportedModelError: naming the operator, its module and its source line.
        InvalidRequestError: the inputs are not `forward`'s parameters, or there are fewer than two rows.
    """
    arguments = in_order(module, asked.inputs)
    axes: dict[str, dict[int, str]] = {
        name: {at: axis for at, axis in enumerate(asked.axes_of(name)) if isinstance(axis, str)} for name in arguments
    }
    batch = next(iter(axes.values()))[0]
    with TemporaryDirectory(prefix="onnxyard-legacy-") as folder:
        file = Path(folder) / "model.onnx"
        with warnings.catch_warnings(record=True) as heard, flat(module, asked.outputs), _unlogged():
            warnings.simplefilter("always")
            try:
                torch.onnx.export(
                    module,
                    (),
                    str(file),
                    kwargs=arguments,
                    dynamo=False,
                    opset_version=opset,
                    input_names=list(arguments),
                    output_names=list(asked.outputs),
                    dynamic_axes={**axes, **{name: {0: batch} for name in asked.outputs}},
                    verbose=True,  # keeps the frames at each node
                )
            except TORCH_ERRORS as error:
                raise refusal(error, module, source) from error
        model = onnx.load(file, load_external_data=False)
        frozen = [
            source.at(warning.filename, warning.lineno) for warning in heard if _FREEZES.search(str(warning.message))
        ]
        yield file, Traced(model, _origins(model, module, source), tuple(dict.fromkeys(frozen)))


def _origins(model: onnx.ModelProto, module: torch.nn.Module, source: SourceTree) -> dict[str, Origin]:
    modules = {path: plain_class(f"{type(m).__module__}.{type(m).__qualname__}") for path, m in module.named_modules()}
    origins: dict[str, Origin] = {}
    for node in all_nodes(model.graph):
        path = module_path(node.name.split("/")[1:-1], modules)
        if node.doc_string or path:
            origin = Origin(path, modules[path], innermost(node.doc_string, source))
            origins.update({name: origin for name in node.output if name})
    return origins


@contextmanager
def _unlogged() -> Iterator[None]:
    """Torch's C++ log of the whole graph, which `verbose` and every failure print to stdout, is left out."""
    log = torch._C._jit_onnx_log  # noqa: SLF001 - torch has no public switch for it
    torch._C._jit_onnx_log = lambda *_: None  # noqa: SLF001 - as above
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log  # noqa: SLF001 - as above
