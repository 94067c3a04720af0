"""Error to HTTP status: the data plane's own table, and the body that tells it."""

from __future__ import annotations

import json
from http import HTTPStatus

from onnxyard import errors


class TooLargeError(errors.InvalidRequestError):
    """The body, or a tensor it describes, is larger than this server takes."""

    code = "too-large"
    title = "Request too large"


class UnsupportedMediaTypeError(errors.InvalidRequestError):
    """The body is not plain JSON."""

    code = "unsupported-media-type"
    title = "Unsupported media type"


STATUSES: dict[type[errors.OnnxyardError], HTTPStatus] = {
    errors.InvalidRequestError: HTTPStatus.BAD_REQUEST,  # 422 elsewhere; V2 clients expect 400
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.GateFailedError: HTTPStatus.CONFLICT,
    errors.UnsupportedModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ArtifactCorruptError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_SECONDS = 1
PROBLEM = "application/problem+json"


def status_of(error: BaseException) -> HTTPStatus:
    """The status of the nearest mapped class; 500 for anything the tree does not know."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem(error: errors.OnnxyardError) -> bytes:
    """The error as RFC 9457 problem details with V2's `error` member; a traceback among its facts stays here."""
    return document(
        status_of(error), code=error.code, title=error.title, detail=error.detail, message=str(error),
        context={name: value for name, value in error.context.items() if name != "traceback"},
    )  # fmt: skip


def unexpected(request_id: str) -> bytes:
    """What a client hears of a defect: nothing but the id under which the log tells the rest."""
    return document(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        code="internal",
        title="Internal error",
        detail="The server failed to answer; its log says why.",
        message=f"The server failed to answer; its log says why under {request_id}.",
        context={"request_id": request_id},
    )


def document(
    status: HTTPStatus, *, code: str, title: str, detail: str, message: str, context: dict[str, object]
) -> bytes:
    """A problem document.

    Args:
        status: The response's status.
        code: The error class's code; it makes the problem's type URI.
        title: The error class's title.
        detail: What happened.
        message: Detail, place and remedy in one text, for V2 clients that show only `error`.
        context: Where, remedy and facts (JSON-compatible).
    """
    members = {
        "type": f"urn:onnxyard:error:{code}",
        "title": title,
        "status": status.value,
        "detail": detail,
        "context": context,
        "error": message,
    }
    return json.dumps(members, default=str).encode()
