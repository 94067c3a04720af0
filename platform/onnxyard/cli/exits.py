"""Error to exit code: the command line's own table."""

from __future__ import annotations

from onnxyard import errors

EXIT_CODES: dict[type[errors.OnnxyardError], int] = {
    errors.InvalidRequestError: 3,
    errors.NotFoundError: 4,
    errors.ConflictError: 5,
    errors.GateFailedError: 6,
    errors.UnsupportedModelError: 7,
    errors.ArtifactCorruptError: 8,
    errors.TransientError: 75,
}
UNEXPECTED = 70


def exit_code(error: BaseException) -> int:
    """The code of the nearest mapped class; 70 for anything the tree does not know."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), UNEXPECTED)
