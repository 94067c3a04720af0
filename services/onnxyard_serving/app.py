"""The Open Inference Protocol V2 over REST and JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from onnxyard import __version__
from onnxyard.errors import InvalidRequestError, OnnxyardError
from onnxyard_serving import statuses
from onnxyard_serving.encoder import model_metadata
from onnxyard_serving.readiness import readiness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from onnxyard_serving.compose import Replica

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 << 20
UPLOAD_SECONDS = 60
"""A body that takes longer to arrive is given up."""
MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"


def create_app(replica: Replica) -> FastAPI:
    """The application; its lifespan is the replica's."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(replica.start)
        try:
            yield
        finally:
            await asyncio.to_thread(replica.close)

    app = FastAPI(title="Onnxyard serving", version=__version__, lifespan=lifespan, openapi_url=None)
    _add_server_routes(app, replica)
    _add_model_routes(app, replica)
    _add_error_handlers(app)
    return app


def _add_server_routes(app: FastAPI, replica: Replica) -> None:
    @app.get("/v2")
    async def server() -> Response:
        return _json({"name": "onnxyard", "version": __version__, "extensions": []})

    @app.get("/v2/health/live")
    async def live() -> Response:
        return _json({"live": True})

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        document = readiness(replica)
        return _json(document, HTTPStatus.OK if document["ready"] else HTTPStatus.SERVICE_UNAVAILABLE)


def _add_model_routes(app: FastAPI, replica: Replica) -> None:
    @app.get(MODEL)
    @app.get(VERSION)
    async def metadata(model: str, version: str | None = None) -> Response:
        served = replica.endpoints.get(model).serving(version)
        return _json(model_metadata(model, [str(served.version)], served.signature))

    @app.get(MODEL + "/ready")
    @app.get(VERSION + "/ready")
    async def model_ready(model: str, version: str | None = None) -> Response:
        served = replica.endpoints.get(model).serving(version)
        return _json({"name": model, "version": str(served.version), "ready": True})

    @app.post(MODEL + "/infer")
    @app.post(VERSION + "/infer")
    async def infer(request: Request, model: str, version: str | None = None) -> Response:
        endpoint = replica.endpoints.get(model)
        endpoint.serving(version)  # refused before its body is read
        body = await _read_body(request)
        loop = asyncio.get_running_loop()
        try:
            content = await loop.run_in_executor(replica.workers, replica.inference.infer, endpoint, version, body)
        except OnnxyardError:
            raise
        except Exception as error:  # noqa: BLE001 - logged and answered; raised, it would cost the client its connection
            return _unexpected(error)
        return Response(content, media_type="application/json")


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(OnnxyardError)
    async def known(_: Request, error: OnnxyardError) -> Response:
        status = statuses.status_of(error)
        if trace := error.facts.get("traceback"):
            logger.warning("the version's processing failed: %s\n%s", error, trace)
        headers = {"Retry-After": str(statuses.RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        return Response(statuses.problem(error), status, headers, media_type=statuses.PROBLEM)

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        detail = f"{request.method} {request.url.path[:200]}: {status.phrase}."
        content = statuses.document(
            status, code=f"http-{status.value}", title=status.phrase, detail=detail, message=detail, context={}
        )
        return Response(content, status, error.headers, media_type=statuses.PROBLEM)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    """Say nothing but an id; the log has the rest under it."""
    request_id = uuid.uuid4().hex
    logger.error("request %s failed unexpectedly", request_id, exc_info=error)
    return Response(statuses.unexpected(request_id), HTTPStatus.INTERNAL_SERVER_ERROR, media_type=statuses.PROBLEM)


async def _read_body(request: Request) -> bytes:
    """The body of a JSON request, never more than MAX_BODY_BYTES of it held."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {"", "application/json"}:
        raise statuses.UnsupportedMediaTypeError(
            f"The body is {media_type[:80]!r}.", remedy="Send it as application/json."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise statuses.UnsupportedMediaTypeError("The body is compressed.", remedy="Send it as it is.")
    if "inference-header-content-length" in request.headers:
        raise statuses.UnsupportedMediaTypeError(
            "The body holds binary tensors, which this server does not take.",
            remedy="Send the inputs as JSON (binary_data=False).",
        )
    too_large = statuses.TooLargeError(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise InvalidRequestError(f"The body did not arrive within {UPLOAD_SECONDS} s.") from None
    except ClientDisconnect:
        raise InvalidRequestError("The client went away before its body was read.") from None
    return bytes(body)


def _json(document: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(document), status, media_type="application/json")
