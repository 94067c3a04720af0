"""What a user's `forward` raises, told with its line."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from onnxyard.errors import UserCodeError

RAISED = (RuntimeError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)
"""What a forward may raise over inputs that it does not take."""
_TORCH = Path(torch.__file__).parent


def raised(error: BaseException) -> UserCodeError:
    """The user's error; `where` is the innermost line outside of torch below the one that called the module."""
    below = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in below if _TORCH not in Path(frame.filename).parents]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return UserCodeError(f"forward raised: {type(error).__name__}: {error}", where=place)
