"""Opening and trying a model in ONNX Runtime; only ever called in a disposable child."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from onnxyard.sources.admission.refusal import Refusal, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BOMB, NOT_LOADABLE, MISSING_KERNEL, CORRUPT = "resource-bomb", "not-loadable", "missing-kernel", "corrupt-file"

Inputs = dict[str, np.ndarray]

_FATAL = 4
_NO_MEMORY = re.compile(r"bad_alloc|Failed to allocate memory|out of memory|SafeIntOnOverflow|bad array new length")
_LENGTHS = ((2, 8), (1, 1), (2, 64), (1, 224), (4, 16))
"""Lengths tried for a free first axis and for every other free axis, until the model takes them."""
_MOST_BYTES = 1 << 28
_NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
_INTEGERS = {f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


@dataclass(frozen=True, slots=True)
class Answer:
    """One run.

    Attributes:
        inputs: What the model was given.
        outputs: What it gave, by name: arrays, or lists and dicts where its outputs are sequences and maps.
    """

    inputs: Inputs
    outputs: dict[str, object]


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens one file, as often as wanted.

    Attributes:
        file: The ONNX file.
        extensions: Whether it needs the operators of onnxruntime-extensions.
    """

    file: Path
    extensions: bool = False

    def open(
        self, level: ort.GraphOptimizationLevel = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    ) -> ort.InferenceSession:
        """A session on the CPU with one thread, optimized to a level. Raises whatever ONNX Runtime raises."""
        options = ort.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = level
        if self.extensions:
            from onnxruntime_extensions import get_library_path  # noqa: PLC0415 - an extra

            options.register_custom_ops_library(get_library_path())
        return ort.InferenceSession(self.file, sess_options=options, providers=["CPUExecutionProvider"])

    def run_at(self, level: ort.GraphOptimizationLevel, inputs: Mapping[str, np.ndarray]) -> dict[str, object]:
        """What the model gives at a level of optimization. Raises whatever ONNX Runtime raises."""
        return run(self.open(level), inputs)


def run(session: ort.InferenceSession, inputs: Mapping[str, np.ndarray]) -> dict[str, object]:
    """All outputs by name. Raises whatever ONNX Runtime raises."""
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def why_not_loaded(error: Exception) -> Refusal:
    """What ONNX Runtime's refusal to load means."""
    if isinstance(error, ModuleNotFoundError):
        return Refusal(
            NOT_LOADABLE,
            "The model needs the operators of onnxruntime-extensions, which is not installed.",
            'Install it: pip install "onnxyard[processing]".',
        )
    said = _said(error)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(said):
        return Refusal(
            BOMB, f"Loading the model takes more memory than allowed: {said}.", "Lower the lengths of its constants."
        )
    kernel = re.search(
        r"(?:Could not find an implementation for|Failed to find kernel for) (\S+?) (?:node with name |\(node:)'(.*?)'",
        said,
    )
    if kernel:
        return Refusal(
            MISSING_KERNEL,
            f"ONNX Runtime {ort.__version__} has no CPU kernel for {printable(kernel[1])}.",
            "Cast around the operator to a type that it has (FLOAT for float16 and bfloat16), or run the model on a "
            "provider that has it.",
            node=printable(kernel[2]),
        )
    if "INVALID_PROTOBUF" in str(error):
        return Refusal(CORRUPT, f"ONNX Runtime cannot read the file: {said}.", "Export or download the model again.")
    return Refusal(
        NOT_LOADABLE,
        f"ONNX Runtime {ort.__version__} does not load the model: {said}.",
        "Mend what the message names; onnx.checker.check_model(path, full_check=True) may say more.",
    )


def try_out(session: ort.InferenceSession, seed: int = 0) -> Answer | Refusal | None:
    """Run the model on made-up inputs.

    Returns:
        The first answer; a refusal where it asks for more memory than allowed; None where it takes no input that can
        be made up, which is no fault of the model.
    """
    for inputs in made_up(session, seed):
        if (answer := try_on(session, inputs, "a small input")) is not None:
            return answer
    return None


def try_on(session: ort.InferenceSession, inputs: Inputs, called: str) -> Answer | Refusal | None:
    """Run the model once.

    Args:
        session: The model.
        inputs: What it is given; whatever they are, fitting or not.
        called: What to call them, as `a small input`.

    Returns:
        The answer; a refusal where it asks for more memory than allowed; None where it does not take these inputs.
    """
    try:
        return Answer(inputs, run(session, inputs))
    except MemoryError as error:
        return _too_large(error, called)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors have no common class of their own
        return _too_large(error, called) if _NO_MEMORY.search(str(error)) else None


def made_up(session: ort.InferenceSession, seed: int) -> Iterator[Inputs]:
    """Inputs of the session's types, in several lengths of its free axes; none for types that cannot be made up."""
    random = np.random.default_rng(seed)
    tried = []
    for first, other in _LENGTHS:
        shapes = {value.name: _shape(value.shape, first, other) for value in session.get_inputs()}
        if shapes in tried:
            continue
        tried.append(shapes)
        inputs = {value.name: _values(value.type, shapes[value.name], random) for value in session.get_inputs()}
        if all(array is not None for array in inputs.values()):
            yield {name: array for name, array in inputs.items() if array is not None}


def _too_large(error: Exception, called: str) -> Refusal:
    return Refusal(
        BOMB,
        f"Running the model on {called} takes more memory than allowed: {_said(error)}.",
        "Lower the lengths that its nodes are given.",
    )


def _shape(axes: list[int | str | None], first: int, other: int) -> tuple[int, ...]:
    return tuple(axis if isinstance(axis, int) else first if at == 0 else other for at, axis in enumerate(axes or ()))


def _values(kind: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray | None:
    """Values that most models can take: small numbers around zero, 0 and 1 for integers (they may be indices)."""
    count = 1
    for length in shape:
        count *= length
    if count * 8 > _MOST_BYTES or min(shape, default=0) < 0:
        return None
    if kind in _NUMBERS:
        return random.standard_normal(shape).astype(_NUMBERS[kind])
    if kind in _INTEGERS:
        return random.integers(0, 2, shape).astype(_INTEGERS[kind])
    if kind == "tensor(bool)":
        return random.integers(0, 2, shape).astype(bool)
    if kind == "tensor(string)":
        return random.choice(np.array(["a", "b", "1"], dtype=object), shape)
    return None


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable_line(lines[0].split(" : ", 3)[-1])


def printable_line(text: str) -> str:
    """One line of a runtime's message, without its own source paths and not endless."""
    clean = re.sub(r"(/[\w.+-]+)+\.(cc|h|cpp|hpp):\d+\s*", "", text)
    clean = "".join(character if character.isprintable() else "?" for character in clean)
    return clean[:300].rstrip(". ")
