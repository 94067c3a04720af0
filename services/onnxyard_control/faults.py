"""Error to HTTP: the control plane's own table, told as RFC 9457 problem+json."""

from __future__ import annotations

from http import HTTPStatus

from fastapi.responses import JSONResponse

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


class Problem(JSONResponse):
    """A problem document (RFC 9457)."""

    media_type = "application/problem+json"


def status_of(error: errors.OnnxyardError) -> HTTPStatus:
    """The status of the nearest mapped class; 500 for the root itself."""
    found = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_of(error: errors.OnnxyardError, instance: str) -> Problem:
    """The problem document of a domain error: what happened, where, what to do next."""
    status = status_of(error)
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if isinstance(error, errors.TransientError) else None
    return problem(
        status, code=error.code, title=error.title, detail=error.detail, instance=instance, headers=retry,
        context=dict(error.context),
    )  # fmt: skip


def problem(
    status: HTTPStatus,
    *,
    code: str,
    title: str,
    detail: str,
    instance: str,
    context: dict[str, object] | None = None,
    headers: dict[str, str] | None = None,
) -> Problem:
    """A problem document; `code` and `context` are extension members."""
    body = {
        "type": f"urn:onnxyard:problem:{code}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "instance": instance,
        "code": code,
        "context": context or {},
    }
    return Problem(body, int(status), headers=headers)
