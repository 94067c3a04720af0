"""From a torch module to an ONNX graph, by torch.onnx's dynamo exporter."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import contextmanager, redirect_stderr
from importlib import metadata
from inspect import signature
from typing import TYPE_CHECKING

import torch

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.sources.torch.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import onnx

    from onnxyard.sources.torch.tree import SourceTree

OPSETS = range(18, 28)
"""Opsets the dynamo exporter honours; below it silently gives 18."""
_NEWEST_WITH_NOTES = 25
"""Newer opsets are made from this one by onnx's C++ converter."""
EXPORTER = f"torch.onnx dynamo {metadata.version('torch').partition('+')[0]}"

_NOISE = (
    "torch.onnx._internal.exporter._registration",  # "torchvision is not installed", four times per export
    "torch.onnx._internal.exporter._compat",  # the opset it chose; we check it ourselves
    "torch.fx.experimental.symbolic_shapes",  # prints the whole graph beside the exception that carries it too
    "onnxscript.version_converter",  # says which converter it takes
)
_WARNINGS = (
    # torch's own deprecation, raised inside its exporter: nothing a user can change
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
    # all inputs share the one axis called `batch`, which is what we want
    (r"# The axis name: batch will not be used, since it shares the same shape constraints", UserWarning),
)


def check_opset(opset: int) -> None:
    """Refuse an opset the exporter does not honour. Raises UnsupportedModelError naming those that work today."""
    if opset not in OPSETS:
        raise UnsupportedModelError(
            f"The exporter does not honour opset {opset}.",
            where="[export] opset",
            remedy=f"Opsets {OPSETS.start} to {OPSETS.stop - 1} work today.",
        )


def export_module(
    module: torch.nn.Module,
    example: Mapping[str, np.ndarray],
    *,
    outputs: Sequence[str],
    opset: int,
    source: SourceTree,
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Export `module` with a dynamic first axis called `batch` on every input.

    Args:
        module: In eval mode; its `forward` takes the inputs by name.
        example: At least two rows: with one, a batch length of 1 may be baked into the graph without a word.
        outputs: The outputs' names, in the order `forward` gives them.
        opset: One of OPSETS.
        source: Says which source files are the project's.

    Returns:
        The model, and one that carries torch's notes on where each tensor came from: the same one up to opset 25,
        beyond it an export at 25, because the converter that makes the newer ones drops them.

    Raises:
        UnsupportedModelError: naming the operator (or the data-dependent branch), the module and its source line.
        InvalidRequestError: the inputs are not `forward`'s parameters, or there are fewer than two rows.
    """
    check_opset(opset)
    arguments = _in_order(module, example)
    dynamic = {name: {0: torch.export.Dim("batch")} for name in arguments}
    with quiet():
        try:
            with _without_graph_dump():
                exported = torch.export.export(module, (), kwargs=arguments, dynamic_shapes=dynamic, strict=False)

            def at(version: int) -> onnx.ModelProto:
                program = torch.onnx.export(
                    exported,
                    dynamo=True,
                    opset_version=version,
                    input_names=list(arguments),
                    output_names=list(outputs),
                    dynamic_shapes=dynamic,  # names the axis; the shapes themselves are in `exported`
                    verbose=False,
                )
                assert program is not None  # noqa: S101 - only torch.onnx's legacy exporter gives None
                return program.model_proto

            model = at(opset)
            noted = model if opset <= _NEWEST_WITH_NOTES else at(_NEWEST_WITH_NOTES)
        except (RuntimeError, ValueError, TypeError, AssertionError, LookupError, torch._dynamo.exc.UserError) as error:  # noqa: SLF001 - torch names it nowhere else
            raise refusal(error, module, source) from error
    if len(model.graph.output) != len(outputs):
        raise InvalidRequestError(
            f"The model gives {len(model.graph.output)} outputs, the project file names {len(outputs)}.",
            where="[project] outputs",
        )
    return model, noted


def _in_order(module: torch.nn.Module, example: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    parameters = list(signature(module.forward).parameters)
    if missing := sorted(example.keys() - set(parameters)):
        raise InvalidRequestError(
            f"forward({', '.join(parameters)}) does not take the input {missing[0]!r}.",
            remedy="Name forward's parameters like the inputs.",
        )
    rows = {len(array) for array in example.values()}
    if min(rows) < 2:
        raise InvalidRequestError("An export needs an example of at least two rows.", remedy="Raise golden_rows.")
    return {name: torch.from_numpy(example[name].copy()) for name in parameters if name in example}


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
