"""What is known of a torch module's values: how they look as arrays, and whose source lines made them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from onnxyard.sources.torch.tree import SourceTree, plain_class

if TYPE_CHECKING:
    import numpy as np

VERSION = f"torch {torch.__version__.partition('+')[0]}"
_NUMPY_FLOATS = {torch.float16, torch.float32, torch.float64}


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """As an array: bfloat16, which numpy lacks, in float32, and complex numbers as pairs, as ONNX graphs have them."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.is_complex():
        plain = torch.view_as_real(plain)
    exact = plain.dtype in _NUMPY_FLOATS or not plain.is_floating_point()
    array: np.ndarray = plain.numpy() if exact else plain.float().numpy()
    return array


def source_of(module: torch.nn.Module) -> SourceTree:
    """The folder of the file that defines the module's class; no folder where there is no file."""
    try:
        file = inspect.getsourcefile(type(module))
    except TypeError:
        file = None
    return SourceTree((Path(file).resolve().parent,) if file else ())


def class_of(module: torch.nn.Module) -> str:
    """The module's class as its author knows it."""
    return plain_class(f"{type(module).__module__}.{type(module).__qualname__}")


def line_of(module: torch.nn.Module, tree: SourceTree) -> str:
    """`file:line` of the module's `forward`, where it is the user's own; empty otherwise."""
    code = getattr(type(module).forward, "__code__", None)
    file = tree.name(code.co_filename) if code is not None else None
    return f"{file}:{code.co_firstlineno}" if code is not None and file is not None else ""
