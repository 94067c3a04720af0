"""The dashboard's web application: one page, the drift reports, and the files they load."""

from __future__ import annotations

import gzip
import logging
import tempfile
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException

from onnxyard.errors import NotFoundError, OnnxyardError, TransientError
from onnxyard.lifecycle.deployment import ReplicaState
from onnxyard.lifecycle.drift import MINIMUM_EFFECT
from onnxyard.operations.pages import overview
from onnxyard_dashboard import wording
from onnxyard_dashboard.assets import assets, by_address
from onnxyard_dashboard.candidates import ranking
from onnxyard_dashboard.faults import RETRY_AFTER_SECONDS, status_of
from onnxyard_dashboard.scatter import scatter
from onnxyard_dashboard.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from onnxyard.bootstrap import Yard
    from onnxyard.lifecycle.deployment import ReplicaReport

REPORT = "report.html"
SILENT_AFTER = timedelta(seconds=45)
"""A replica, which speaks every ten seconds, is shown as silent when it said nothing for this long."""
PLOTLY_STYLES = (
    # plotly.js adds one empty style element and fills it through the CSSOM ...
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    # ... and, as of 5.24.1, a style sheet for maps when it loads. The browser test fails when a version changes it.
    "'sha256-gG0b4ixT/IQUp7JJLbyKcpYcYDjq2Wp8NGv3f+aasqo='",
)
PAGE_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {' '.join(PLOTLY_STYLES)}; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Evidently's page brings its own inline scripts: it gets an origin of its own, and no network."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOR_EVER = "public, max-age=31536000, immutable"

log = logging.getLogger(__name__)


def create_app(yard: Yard, *, mlflow_url: str | None = None, prefect_url: str | None = None) -> FastAPI:
    """The application over one installation.

    Args:
        yard: Registry and artifact store; opened at the first request, so that the page can say what is wrong.
        mlflow_url: Where a browser finds MLflow's pages; no link without it.
        prefect_url: Likewise for Prefect.
    """
    page = _Pages(mlflow_url, prefect_url)
    app = FastAPI(title="Onnxyard dashboard", openapi_url=None, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    _tell_errors(app, page)

    @app.get("/")
    def home() -> Response:
        return page("overview.html", view=overview(yard.unit_of_work))

    @app.get("/reports/{digest}")
    def report(digest: str) -> Response:
        _require_report(yard, digest)
        return page("report.html", digest=digest)

    @app.get("/reports/{digest}/document")
    def document(digest: str) -> Response:
        html = _read_report(yard, digest)
        headers = {"Content-Security-Policy": REPORT_POLICY, "Content-Encoding": "gzip", "Cache-Control": FOR_EVER}
        return Response(gzip.compress(html, compresslevel=1), headers=headers, media_type="text/html; charset=utf-8")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        asset = by_address().get(name)
        if asset is None:
            raise NotFoundError("There is no such file.")
        headers = {"Content-Encoding": "gzip", "Cache-Control": FOR_EVER}
        return Response(asset.compressed, headers=headers, media_type=asset.media_type)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        with yard.unit_of_work() as work:
            work.deployments.endpoints()
        return {"status": "ok"}

    return app


class _Pages:
    """Templates rendered into responses."""

    def __init__(self, mlflow_url: str | None, prefect_url: str | None) -> None:
        self._templates = _templates(mlflow_url, prefect_url)

    def __call__(self, name: str, status: HTTPStatus = HTTPStatus.OK, **context: object) -> Response:
        html = self._templates.get_template(name).render(now=datetime.now(UTC), **context)
        return Response(html, status, media_type="text/html; charset=utf-8")


def _tell_errors(app: FastAPI, page: _Pages) -> None:
    """Every error becomes a page with its status, and leaks nothing where it is unexpected."""

    @app.exception_handler(OnnxyardError)
    def told(_request: Request, error: OnnxyardError) -> Response:
        status = status_of(error)
        response = page("error.html", status, title=error.title, detail=error.detail, remedy=error.remedy)
        if isinstance(error, TransientError):
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    @app.exception_handler(HTTPException)
    def refused(_request: Request, error: HTTPException) -> Response:
        return page("error.html", HTTPStatus(error.status_code), title=str(error.detail), detail="", remedy="")

    @app.exception_handler(Exception)
    def unexpected(_request: Request, error: Exception) -> Response:
        log.error("unexpected error", exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = "This is a defect of Onnxyard. The dashboard's log has the details."
        response = page("error.html", status, title="Something went wrong here", detail=detail, remedy="")
        response.headers.update(HEADERS)  # this handler stands outside the middleware above
        return response


def _templates(mlflow_url: str | None, prefect_url: str | None) -> Environment:
    pages = Environment(
        loader=PackageLoader("onnxyard_dashboard"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(
        breakable=wording.breakable,
        number=wording.number,
        size=wording.size,
        age=wording.age,
        moment=wording.moment,
        stamp=wording.stamp,
        digest=wording.digest,
    )
    pages.globals.update(
        asset=lambda name: f"/static/{assets()[name].name}",
        mlflow_url=mlflow_url.rstrip("/") if mlflow_url else None,
        prefect_url=prefect_url.rstrip("/") if prefect_url else None,
        least_effect=MINIMUM_EFFECT,
        ranking=ranking,
        scatter=scatter,
        sparkline=sparkline,
        standing=standing,
    )
    return pages


def standing(replica: ReplicaReport, generation: int, now: datetime) -> tuple[str, str]:
    """How a replica stands: a word, and which of the page's tones fits it (good, warn, bad)."""
    if now - replica.seen_at > SILENT_AFTER:
        return "silent", "warn"
    if replica.state is ReplicaState.REFUSED:
        return "refused", "bad"
    if replica.state is ReplicaState.LOADING or replica.generation < generation:
        return "loading", "warn"
    return "serving", "good"


def _require_report(yard: Yard, digest: str) -> None:
    """Raise NotFoundError unless the artifact is a report: nothing else of the store may leave through this door."""
    files = [file.path for file in yard.store.manifest(digest).files]
    if files != [REPORT]:
        raise NotFoundError("There is no such report.")


def _read_report(yard: Yard, digest: str) -> bytes:
    _require_report(yard, digest)
    yard.settings.workspaces.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=yard.settings.workspaces, prefix="report-") as folder:
        yard.store.fetch(digest, Path(folder))
        return (Path(folder) / REPORT).read_bytes()
