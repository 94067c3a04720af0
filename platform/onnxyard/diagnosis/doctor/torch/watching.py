"""Watching a module's calls of torch's functions, and where its code makes them."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType


class Watching(TorchFunctionMode):
    """While inside, every call of a function of torch comes by `call`."""

    @abstractmethod
    def call(
        self, function: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any], caller: FrameType
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        """Make the call, or answer in its place.

        Args:
            function: What is called.
            args: Its arguments by position.
            named: Its arguments by name.
            caller: The frame that calls it.
        """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        """As torch asks for it."""
        return self.call(func, args, kwargs or {}, sys._getframe(1))  # noqa: SLF001 - the only way to the caller's frame
