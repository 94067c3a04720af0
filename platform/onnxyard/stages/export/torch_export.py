"""From a torch module to an ONNX graph, by torch.onnx's dynamo exporter."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib import metadata
from inspect import signature
from typing import TYPE_CHECKING

import torch

from onnxyard.errors import InvalidRequestError, UnsupportedModelError
from onnxyard.stages.export.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import onnx

    from onnxyard.stages.export.source import SourceTree

OPSETS = range(18, 28)
"""Opsets the dynamo exporter honours; below it silently gives 18."""
EXPORTER = f"torch.onnx dynamo {metadata.version('torch')}"

_NOISE = (
    "torch.onnx._internal.exporter._registration",  # "torchvision is not installed", four times per export
    "torch.onnx._internal.exporter._compat",  # the opset it chose; we check it ourselves
    "torch.fx.experimental.symbolic_shapes",  # prints the whole graph beside the exception that carries it too
    "onnxscript.version_converter",  # says which converter it takes
)
_WARNINGS = (
    # (message, category): torch's own deprecations, raised inside its exporter and nothing a user can change
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),
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
) -> onnx.ModelProto:
    """Export `module` with a dynamic first axis called `batch` on every input.

    Args:
        module: In eval mode; its `forward` takes the inputs by name.
        example: At least two rows: with one, a batch length of 1 may be baked into the graph without a word.
        outputs: The outputs' names, in the order `forward` gives them.
        opset: One of OPSETS.
        source: Says which source files are the project's.

    Raises:
        UnsupportedModelError: naming the operator (or the data-dependent branch), the module and its source line.
        InvalidRequestError: the inputs are not `forward`'s parameters, or there are fewer than two rows.
    """
    check_opset(opset)
    arguments = _in_order(module, example)
    dynamic = {name: {0: torch.export.Dim("batch")} for name in arguments}
    with quiet():
        try:
            exported = torch.export.export(module, (), kwargs=arguments, dynamic_shapes=dynamic, strict=False)
            program = torch.onnx.export(
                exported,
                dynamo=True,
                opset_version=opset,
                input_names=list(arguments),
                output_names=list(outputs),
                dynamic_shapes=dynamic,  # names the axis; the shapes themselves are in `exported`
                verbose=False,
            )
        except (RuntimeError, ValueError, TypeError, AssertionError, LookupError, torch._dynamo.exc.UserError) as error:  # noqa: SLF001 - torch names it nowhere else
            raise refusal(error, module, source) from error
    if program is None:  # only torch.onnx's legacy exporter gives none
        raise UnsupportedModelError("torch.onnx gave no model.")
    model = program.model_proto
    if len(model.graph.output) != len(outputs):
        raise InvalidRequestError(
            f"The model gives {len(model.graph.output)} outputs, the project file names {len(outputs)}.",
            where="[project] outputs",
        )
    return model


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
