"""Packages that not every installation has."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxyard.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def of_extra(extra: str) -> Iterator[None]:
    """Around the import of what an extra brings: say how to install it where it is missing.

    Raises:
        MissingExtraError: what is imported is not installed, naming the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The recipe needs {error.name}, which is not installed.",
            remedy=f"Install it with: pip install 'onnxyard[{extra}]'",
            extra=extra,
        ) from error
