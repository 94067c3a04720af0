"""From a torch module to an ONNX graph, by torch.onnx's dynamo exporter."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import contextmanager, redirect_stderr
from importlib import metadata
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

from onnxyard.errors import InvalidRequestError
from onnxyard.sources.axes import batch_axis, dynamic_axes
from onnxyard.sources.torch.arrays import to_torch
from onnxyard.sources.torch.lengths import free_lengths
from onnxyard.sources.torch.outputs import flat
from onnxyard.sources.torch.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np

    from onnxyard.sources.source import Asked
    from onnxyard.sources.torch.tree import SourceTree

OPSETS = range(18, 26)
"""Opsets it writes as asked. Below, it silently gives 18. Above, it names operators of the new opset under the old one
(a Gelu under opset 18, at 27), so the newer ones are converted from 25."""
EXPORTER = f"torch.onnx dynamo {metadata.version('torch').partition('+')[0]}"

_NOISE = (
    "torch.onnx._internal.exporter._registration",  # "torchvision is not installed", four times per export
    "torch.onnx._internal.exporter._compat",  # the opset it chose; we check it ourselves
    "torch.fx.experimental.symbolic_shapes",  # prints the whole graph beside the exception that carries it too
    "onnxscript.version_converter",  # says which converter it takes
)
TORCH_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    AssertionError,
    LookupError,
    AttributeError,
    ArithmeticError,
    torch._dynamo.exc.UserError,  # noqa: SLF001 - torch names it nowhere else
)
"""What torch's exporters raise over a model they cannot take."""
_WARNINGS = (
    # an LSTM's own list of its weights, which torch replaces while it traces and puts back
    (r"The tensor attributes? self\.[\w.]+\._flat_weights", UserWarning),
    # torch's own deprecation, raised inside its exporter: nothing a user can change
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
    # several inputs share an axis (the batch, a sequence's length), which is what we want
    (r"# The axis name: \w+ will not be used, since it shares the same shape constraints", UserWarning),
)


def capture(module: torch.nn.Module, asked: Asked, source: SourceTree) -> torch.export.ExportedProgram:
    """Trace `module` without running it on values: every branch on data is found, every declared axis stays free.

    Args:
        module: In eval mode; its `forward` takes the inputs by name.
        asked: Its example has at least two rows: with one, a batch length of 1 may be baked into the graph without a
            word. Where the code ties a dynamic axis to a rule (an even length, say), torch infers the rule.
        source: Says which source files are the project's.

    Raises:
        UnsupportedModelError: naming the data-dependent branch or the baked-in axis, the module and its source line.
        InvalidRequestError: the inputs are not `forward`'s parameters, or there are fewer than two rows.
        UserCodeError: `forward` does not give the outputs that are asked for.
    """
    arguments = in_order(module, asked.inputs)
    try:
        return _capture(module, arguments, asked, _dimensions(arguments, asked, inferred=False))
    except TORCH_ERRORS as error:
        if not dynamic_axes(asked) or "Constraints violated" not in str(error):
            raise refusal(error, module, source) from error
    try:
        return _capture(module, arguments, asked, _dimensions(arguments, asked, inferred=True))
    except TORCH_ERRORS as error:
        raise refusal(error, module, source) from error


def to_onnx(
    program: torch.export.ExportedProgram,
    asked: Asked,
    opset: int,
    *,
    module: torch.nn.Module,
    source: SourceTree,
    translations: Mapping[Any, Callable[..., Any]] | None = None,
) -> torch.onnx.ONNXProgram:
    """Translate a captured module into an ONNX graph at one of OPSETS.

    Args:
        program: What `capture` gave.
        asked: Names of inputs, outputs and axes.
        opset: The default domain's.
        module: The module that was captured, to name its parts in a refusal.
        source: Says which source files are the project's.
        translations: Onnxscript functions by operator (`torch.ops.aten.cumprod.default`), before torch's own.

    Raises:
        UnsupportedModelError: naming the operator, its module and its source line.
    """
    names = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    axes = {name: {at: axis for at, axis in enumerate(asked.axes_of(name)) if isinstance(axis, str)} for name in names}
    with quiet():
        try:
            onnx_program = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=names,
                output_names=list(asked.outputs),
                dynamic_shapes=axes,  # names the axes; which are free is in `program`
                custom_translation_table=dict(translations) if translations else None,
                verbose=False,
            )
        except TORCH_ERRORS as error:
            raise refusal(error, module, source) from error
    assert onnx_program is not None  # noqa: S101 - only torch.onnx's legacy exporter gives None
    return onnx_program


def in_order(module: torch.nn.Module, example: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The example as tensors, in the order of `forward`'s parameters.

    Raises:
        InvalidRequestError: `forward` has no such parameter, or there are fewer than two rows.
    """
    parameters = list(signature(module.forward).parameters)
    if missing := sorted(example.keys() - set(parameters)):
        raise InvalidRequestError(
            f"forward({', '.join(parameters)}) does not take the input {missing[0]!r}.",
            remedy="Name forward's parameters like the inputs.",
        )
    if min(len(array) for array in example.values()) < 2:
        raise InvalidRequestError("An export needs an example of at least two rows.", remedy="Raise golden_rows.")
    return {name: to_torch(name, example[name].copy()) for name in parameters if name in example}


def _capture(
    module: torch.nn.Module, arguments: Mapping[str, torch.Tensor], asked: Asked, dimensions: Mapping[str, Any]
) -> torch.export.ExportedProgram:
    with quiet(), flat(module, asked.outputs), free_lengths(module), _without_graph_dump():
        return torch.export.export(module, (), kwargs=dict(arguments), dynamic_shapes=dict(dimensions), strict=False)


def _dimensions(arguments: Mapping[str, torch.Tensor], asked: Asked, *, inferred: bool) -> dict[str, dict[int, Any]]:
    """The dynamic axes as torch takes them; with `inferred` it may tie those behind the batch to rules of its own."""
    batch = batch_axis(asked)
    named = {axis: torch.export.Dim(axis) for axis in (batch, *dynamic_axes(asked))}
    auto = torch.export.Dim.AUTO
    return {
        name: {
            at: auto if inferred and axis != batch else named[axis]
            for at, axis in enumerate(asked.axes_of(name))
            if isinstance(axis, str)
        }
        for name in arguments
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's own log lines and deprecation warnings out of the user's terminal while its exporter runs."""
    loggers = [logging.getLogger(name) for name in _NOISE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            for message, category in _WARNINGS:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _without_graph_dump() -> Iterator[None]:
    """Where torch refuses a data-dependent branch, it also prints the whole graph to stderr: leave that out.

    Anything else that is written there (by the user's own `forward`, say) comes out afterwards.
    """
    written = io.StringIO()
    dump = ""
    try:
        with redirect_stderr(written):
            yield
    except RuntimeError as error:
        dump = str(getattr(error, "partial_fx_graph", "") or "")
        raise
    finally:
        text = written.getvalue().replace(dump, "") if dump else written.getvalue()
        if text.strip():
            sys.stderr.write(text)
