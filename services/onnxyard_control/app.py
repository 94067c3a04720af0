"""The control plane's web application. Read-only: it shows the registry, and changes nothing."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from onnxyard import __version__
from onnxyard.errors import NotFoundError, OnnxyardError
from onnxyard.operations import passports
from onnxyard.operations.status import endpoints
from onnxyard_control.documents import (
    DeploymentDocument,
    EndpointDocument,
    ModelDocument,
    PassportDocument,
    VersionDocument,
    WindowDocument,
)
from onnxyard_control.faults import Problem, problem, problem_of

if TYPE_CHECKING:
    from onnxyard.bootstrap import Yard
    from onnxyard.ports.unit_of_work import UnitOfWork

Limit = Annotated[int, Query(ge=1, le=500, description="Most entries, newest first.")]

log = logging.getLogger(__name__)


def create_app(yard: Yard) -> FastAPI:
    """The application over one installation; the registry is opened at the first request."""
    # No /docs and /redoc: their pages load scripts from elsewhere. The OpenAPI document itself is served.
    app = FastAPI(title="Onnxyard control plane", version=__version__, docs_url=None, redoc_url=None)
    _tell_errors(app)
    app.include_router(_endpoints(yard), prefix="/api/v1")
    app.include_router(_models(yard), prefix="/api/v1")

    @app.get("/healthz", tags=["health"])
    def health() -> dict[str, str]:
        """Whether the registry answers."""
        with yard.unit_of_work() as work:
            work.deployments.endpoints()
        return {"status": "ok"}

    return app


def _endpoints(yard: Yard) -> APIRouter:
    router = APIRouter(tags=["endpoints"])

    @router.get("/endpoints")
    def all_endpoints() -> list[EndpointDocument]:
        """Every endpoint with what is live."""
        return [EndpointDocument.of(status) for status in endpoints(yard.unit_of_work)]

    @router.get("/endpoints/{endpoint}")
    def one_endpoint(endpoint: str) -> EndpointDocument:
        """One endpoint with what is live."""
        found = next((s for s in endpoints(yard.unit_of_work) if s.endpoint == endpoint), None)
        if found is None:
            raise _unknown(endpoint)
        return EndpointDocument.of(found)

    @router.get("/endpoints/{endpoint}/history")
    def history(endpoint: str) -> list[DeploymentDocument]:
        """Everything that ever was live there, newest first: who did it, when and why."""
        with yard.unit_of_work() as work:
            _require(work, endpoint)
            return [DeploymentDocument.of(deployment) for deployment in work.deployments.history(endpoint)]

    @router.get("/endpoints/{endpoint}/windows")
    def windows(endpoint: str, limit: Limit = 50) -> list[WindowDocument]:
        """The latest drift windows."""
        with yard.unit_of_work() as work:
            _require(work, endpoint)
            return [WindowDocument.of(window) for window in work.windows.of_endpoint(endpoint, limit=limit)]

    return router


def _models(yard: Yard) -> APIRouter:
    router = APIRouter(tags=["models"])

    @router.get("/models")
    def all_models() -> list[ModelDocument]:
        """Every model with its versions."""
        with yard.unit_of_work() as work:
            names = work.versions.models()
        return [one_model(name) for name in names]

    @router.get("/models/{model}")
    def one_model(model: str) -> ModelDocument:
        """A model with its versions."""
        found = passports.versions(yard.unit_of_work, model)
        return ModelDocument(model=model, versions=[VersionDocument.of(version, status) for version, status in found])

    @router.get("/models/{model}/versions/{version}")
    def passport(model: str, version: int) -> PassportDocument:
        """A version's passport."""
        return PassportDocument.of(passports.passport(yard.unit_of_work, model, version))

    return router


def _require(work: UnitOfWork, endpoint: str) -> None:
    if work.deployments.generation(endpoint) == 0:
        raise _unknown(endpoint)


def _unknown(endpoint: str) -> NotFoundError:
    return NotFoundError(f"There is no endpoint {endpoint}.", remedy="GET /api/v1/endpoints lists them.")


def _tell_errors(app: FastAPI) -> None:
    """Every error becomes a problem document; an unexpected one leaks nothing."""

    @app.exception_handler(OnnxyardError)
    def told(request: Request, error: OnnxyardError) -> Problem:
        return problem_of(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Problem:
        problems = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            code="invalid-request",
            title="Invalid request",
            detail="; ".join(problems),
            instance=request.url.path,
        )

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Problem:
        status = HTTPStatus(error.status_code)
        return problem(
            status,
            code=status.phrase.lower().replace(" ", "-"),
            title=status.phrase,
            detail=str(error.detail),
            instance=request.url.path,
            headers=dict(error.headers) if error.headers else None,
        )

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Problem:
        log.error("unexpected error", exc_info=error)
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            code="unexpected",
            title="Internal server error",
            detail="This is a defect of Onnxyard. The service's log has the details.",
            instance=request.url.path,
        )
