"""The catalogue: operators that torch's exporter cannot export, or exports wrongly without a word.

Every module of `onnxyard.sources.torch.translations` is one entry: dropping a file in is all it takes to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import torch
from torch._ops import OpOverload

from onnxyard.errors import UserCodeError
from onnxyard.sources.torch import translations


@dataclass(frozen=True, slots=True)
class Translation:
    """One operator, or a family that shares one ONNX form. Each entry's module holds one, as `TRANSLATION`.

    Attributes:
        functions: By operator with its overload, as `aten::cumprod` or `aten::median.dim`: the onnxscript function that
            writes its ONNX form. It takes what the operator takes: graph values for tensors, Python values for the rest
            (a size that depends on a dynamic axis is a graph value as well).
        form: The ONNX form, in words.
        max_error: The largest difference to torch that the tests allow, relative to the output's largest value; 0 where
            the outputs are equal. Stated for float32.
        limits: What it does not cover; empty where it takes everything the operator takes.
        source: Where the form comes from: the ONNX operator, the algorithm or the paper.
        silent: Whether torch exports the operator without a word and gives a graph that answers wrongly; else it
            refuses it.
        opset: The oldest opset that has all it needs.
    """

    functions: Mapping[str, Callable[..., Any]]
    form: str
    max_error: float
    source: str
    limits: str = ""
    silent: bool = False
    opset: int = 18

    @property
    def operators(self) -> tuple[str, ...]:
        """What it translates, sorted."""
        return tuple(sorted(self.functions))


@cache
def catalogue() -> tuple[Translation, ...]:
    """Every entry, by its first operator's name."""
    modules = [import_module(f"{translations.__name__}.{found.name}") for found in iter_modules(translations.__path__)]
    return tuple(sorted((module.TRANSLATION for module in modules), key=lambda one: one.operators))


def translation_table(
    own: Mapping[str, Callable[..., Any]], *, opset: int, entries: Iterable[Translation] = ()
) -> dict[OpOverload, Callable[..., Any]]:
    """What `torch.onnx.export` takes as `custom_translation_table`.

    Args:
        own: The project's functions by operator (`[export.translations]`); they win over the catalogue's.
        opset: That the graph will have.
        entries: Of the catalogue; those that need a newer opset are left out.

    Raises:
        UserCodeError: the project names an operator that torch does not know.
    """
    known = {name: function for one in entries if one.opset <= opset for name, function in one.functions.items()}
    return {overload_of(name): function for name, function in {**known, **own}.items()}


def overload_of(operator: str) -> OpOverload:
    """The operator that is called `namespace::name` or `namespace::name.overload`.

    Raises:
        UserCodeError: there is none of that name: a custom one must be registered before the export.
    """
    namespace, _, rest = operator.partition("::")
    name, _, overload = rest.partition(".")
    packet = getattr(getattr(torch.ops, namespace), name, None) if name else None
    found = getattr(packet, overload or "default", None)
    if not isinstance(found, OpOverload):
        raise UserCodeError(
            f"Torch knows no operator {operator}.",
            where="[export.translations]",
            remedy="Write it as `namespace::name`, as torch.library.custom_op was given it.",
        )
    return found


def applied(entries: Iterable[Translation], operators: Iterable[str]) -> tuple[str, ...]:
    """Which entries had a part in a graph, one sentence each.

    Args:
        entries: That were offered.
        operators: Of the exported program, as `aten::cumprod`.
    """
    present = set(operators)
    return tuple(
        f"{', '.join(sorted(present & set(one.functions)))}: translated by the catalogue as {one.form} "
        f"(relative error up to {one.max_error:g})."
        for one in entries
        if present & set(one.functions)
    )


def listing(entries: Iterable[Translation]) -> str:
    """The catalogue in words, one block per entry."""
    return "\n".join(_block(one) for one in entries)


def _block(one: Translation) -> str:
    lines = [
        ", ".join(one.operators),
        f"  torch today     {'exports it, and the graph answers wrongly' if one.silent else 'refuses it'}",
        f"  ONNX form       {one.form} (opset {one.opset} and newer)",
        f"  maximal error   {one.max_error:g}, relative",
        f"  limits          {one.limits or 'none known'}",
        f"  source          {one.source}",
    ]
    return "\n".join(lines) + "\n"
