"""What both quantizing recipes share: preparing the graph, and telling whether anything was quantized."""

from __future__ import annotations

import logging
import warnings
from contextlib import chdir, contextmanager
from typing import TYPE_CHECKING

from onnxruntime.quantization.shape_inference import quant_pre_process

from onnxyard.errors import UnsupportedModelError
from onnxyard.runtimes.graph import read_graph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def prepared(source: Path, folder: Path) -> Path:
    """The graph with inferred shapes and folded constants, which the quantizers want.

    Symbolic shape inference fails on some graphs that are fine; then it is left out.
    """
    made = folder / "prepared.onnx"
    try:
        with chdir(folder):  # where its inference is not complete, it leaves two files in the working folder
            quant_pre_process(source.absolute(), made)
    except Exception:  # noqa: BLE001 - symbolic shape inference raises anything; the second way has to do
        quant_pre_process(source, made, skip_symbolic_shape=True)
    return made


def check_quantized(made: Path, operators: frozenset[str]) -> None:
    """Raise UnsupportedModelError where the graph has none of the `operators` that quantized arithmetic needs."""
    if not operators & {name.rpartition("::")[2] for name in read_graph(made).operators}:
        raise UnsupportedModelError("no node was quantized")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the quantizer's advice to its caller (us) off the user's terminal."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Please consider to run pre-processing before quantization")
            yield
    finally:
        root.setLevel(level)
