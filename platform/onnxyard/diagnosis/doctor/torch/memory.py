"""What a module remembers from one call to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from onnxyard.diagnosis.doctor.torch.walk import Frames
from onnxyard.diagnosis.doctor.torch.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from onnxyard.sources.torch.tree import SourceTree


@dataclass(frozen=True, slots=True)
class Remembered:
    """A buffer that `forward` writes.

    Attributes:
        buffer: Its name, as `norm.mean`.
        module: Path of the module that was running; empty for the model itself.
        source: `file:line`; empty where unknown.
    """

    buffer: str
    module: str
    source: str


def remembered(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], source: SourceTree) -> Remembered | None:
    """Run the module once; the first buffer whose values it changes, None where it changes none.

    Raises what the module raises.
    """
    writes = _Writes(module, source)
    with torch.inference_mode(), writes:
        module(**inputs)
    writes.look(("", ()))
    return writes.found


class _Writes(Watching):
    def __init__(self, module: torch.nn.Module, source: SourceTree) -> None:
        super().__init__()
        self.found: Remembered | None = None
        self._module = module
        self._frames = Frames(module, source)
        self._before = {name: (buffer, buffer.clone()) for name, buffer in module.named_buffers()}
        self._last: tuple[str, tuple[str, ...]] = ("", ())

    def look(self, here: tuple[str, tuple[str, ...]]) -> None:
        """Note the first buffer that is not what it was: written by this call, or made by the one before and set."""
        if self.found is None:
            for name, buffer in self._module.named_buffers():
                known, values = self._before.get(name, (buffer, buffer))
                if buffer is not known or not torch.equal(buffer, values):
                    path, stack = here if buffer is known else self._last
                    self.found = Remembered(name, path, stack[-1] if stack else "")
                    break
        self._last = here

    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any], caller: FrameType
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        given = function(*args, **named)
        self.look(self._frames.place(caller))
        return given
