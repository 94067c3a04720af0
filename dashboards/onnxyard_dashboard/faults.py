"""Error to page: the dashboard's own table."""

from __future__ import annotations

from http import HTTPStatus

from onnxyard import errors

STATUS: dict[type[errors.OnnxyardError], HTTPStatus] = {
    errors.InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.GateFailedError: HTTPStatus.CONFLICT,
    errors.UnsupportedModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ArtifactCorruptError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_SECONDS = 5


def status_of(error: errors.OnnxyardError) -> HTTPStatus:
    """The status of the nearest mapped class; 500 for the root itself."""
    found = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)
