"""`len(tensor)` while a module is captured: a free axis stays free, where Python would make its length a number."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def free_lengths(module: torch.nn.Module) -> Iterator[None]:
    """While inside, `len(x)` means `x.shape[0]` in the files that the module's parts are written in.

    Python's own `len` gives an int or fails, so that torch.export takes the example's length for the only one. Torch's
    own files are left alone, as is a file with a `len` of its own. A function that lies in another file keeps Python's.
    """
    methods = {inspect.unwrap(type(part).forward) for part in module.modules()}
    files = {id(space): space for method in methods if (space := getattr(method, "__globals__", None)) is not None}
    changed = [
        space for space in files.values() if "len" not in space and not str(space.get("__name__")).startswith("torch.")
    ]
    for space in changed:
        space["len"] = _length
    try:
        yield
    finally:
        for space in changed:
            del space["len"]


def _length(value: Any) -> int | torch.SymInt:  # noqa: ANN401 - whatever has a length
    if isinstance(value, torch.Tensor) and value.ndim and isinstance(value.shape[0], torch.SymInt):
        return value.shape[0]
    return len(value)
