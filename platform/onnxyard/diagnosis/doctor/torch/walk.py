"""A walk: which calls a torch module makes for one input, from where, and with which numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from onnxyard.diagnosis.doctor.torch.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType

    from onnxyard.sources.torch.tree import SourceTree

TO_PYTHON = frozenset({"__bool__", "__int__", "__float__", "__index__", "item", "tolist", "numpy", "__array__"})
"""Calls through which a tensor's values leave the graph."""
RESAMPLING = frozenset({"interpolate", "grid_sample"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a torch function.

    Attributes:
        function: Its name, as `interpolate` or `__bool__`.
        module: Path of the innermost module whose method was running; empty for the model itself.
        stack: `file:line` of every frame in the user's source, the outermost first.
        numbers: The numbers among its arguments, and what it gave where it is one of TO_PYTHON.
        tensors: Its tensors' shapes, in the arguments' order, where it is one of RESAMPLING.
        options: Its other arguments by position and name, where it is one of RESAMPLING.
    """

    function: str
    module: str
    stack: tuple[str, ...]
    numbers: tuple[object, ...]
    tensors: tuple[tuple[int, ...], ...] = ()
    options: tuple[tuple[object, ...], Mapping[str, object]] = ((), {})

    @property
    def source(self) -> str:
        """`file:line` of the innermost frame in the user's source; empty where there is none."""
        return self.stack[-1] if self.stack else ""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a module did.

    Attributes:
        calls: In order.
        floats: The floating types that anything was computed in.
    """

    calls: tuple[Call, ...]
    floats: frozenset[torch.dtype]


def walk(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], source: SourceTree) -> Walk:
    """Run the module once and write down its calls; those up to the point where it raises, if it does."""
    functions, types = _Functions(Frames(module, source)), _Types()
    try:
        with torch.inference_mode(), types, functions:
            module(**inputs)
    except Exception:  # noqa: BLE001, S110 - the user's forward may raise anything; what was seen until then counts
        pass
    finally:
        if "torch._dynamo" in sys.modules:
            # torch.cond compiles what it runs; compiled under our modes it would fail for whoever runs it next.
            torch._dynamo.reset()  # noqa: SLF001 - torch names it nowhere else
    return Walk(tuple(functions.calls), frozenset(types.floats))


def stumble(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], source: SourceTree) -> tuple[str, str] | None:
    """Where the module raises for these inputs: path of the module and `file:line`; None where it does not."""
    try:
        with torch.inference_mode():
            module(**inputs)
    except Exception as error:  # noqa: BLE001 - the user's forward may raise anything
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        path, stack = Frames(module, source).place(trace.tb_frame if trace is not None else None)
        return path, stack[-1] if stack else ""
    return None


class _Types(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives this class no types
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.floats: set[torch.dtype] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        given = func(*args, **(kwargs or {}))
        for value in given if isinstance(given, (tuple, list)) else (given,):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                self.floats.add(value.dtype)
        return given


class Frames:
    """Tells where in a module's code Python is."""

    def __init__(self, module: torch.nn.Module, source: SourceTree) -> None:
        self._paths = {id(part): path for path, part in module.named_modules()}
        self._source = source
        self._files: dict[str, str | None] = {}

    def place(self, frame: FrameType | None) -> tuple[str, tuple[str, ...]]:
        """Path of the innermost module, and `file:line` of every frame in the user's source, the outermost first.

        Frames outside of the model, of whoever called it, do not count.
        """
        path, lines, inside = None, [], 0
        while frame is not None:
            code = frame.f_code
            file = self._name(code)
            if file is not None:
                lines.append(f"{file}:{frame.f_lineno}")
            running = self._paths.get(id(frame.f_locals.get(code.co_varnames[0]))) if code.co_argcount else None
            if running is not None:
                path = running if path is None else path
                inside = len(lines)
            frame = frame.f_back
        return path or "", tuple(reversed(lines[:inside]))

    def _name(self, code: CodeType) -> str | None:
        if code.co_filename not in self._files:
            self._files[code.co_filename] = self._source.name(code.co_filename)
        return self._files[code.co_filename]


class _Functions(Watching):
    def __init__(self, frames: Frames) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._frames = frames

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any], caller: FrameType
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        given = function(*args, **named)
        name = str(getattr(function, "__name__", function))
        module, stack = self._frames.place(caller)
        numbers = (*_numbers(args), *_numbers(named.values()))
        if name in TO_PYTHON:
            numbers = (*numbers, _gist(given))
        if name in RESAMPLING:
            everything = (*args, *named.values())
            shapes = tuple(tuple(value.shape) for value in everything if isinstance(value, torch.Tensor))
            options = (
                tuple(value for value in args if not isinstance(value, torch.Tensor)),
                {key: value for key, value in named.items() if not isinstance(value, torch.Tensor)},
            )
            self.calls.append(Call(name, module, stack, numbers, shapes, options))
        else:
            self.calls.append(Call(name, module, stack, numbers))
        return given


def _numbers(values: Iterable[object]) -> tuple[object, ...]:
    found: list[object] = []
    for value in values:
        if isinstance(value, (bool, int, float)):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found.extend(_numbers(value))
        elif isinstance(value, np.ndarray):
            found.append(_gist(value))
    return tuple(found)


def _gist(value: object) -> object:
    """Something small that is equal for equal values."""
    if isinstance(value, np.ndarray):
        return sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return repr(value) if isinstance(value, list) else value
