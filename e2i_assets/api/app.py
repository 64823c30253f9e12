"""Routes of the operations API. Whoever reaches it may look; changes want a token, and leave an audit row."""

from __future__ import annotations

import datetime as dt
import hmac
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.middleware import Middleware

from e2i_assets.api.documents import data_status, deployments, registered_models
from e2i_assets.deployment.rollback import roll_back
from e2i_assets.deployment.wishes import await_release, require_reconciler
from e2i_assets.errors import E2IError
from e2i_assets.partitions import cohort_configs
from e2i_assets.resources.model_registry import ModelRegistry
from e2i_assets.resources.tracking import ExperimentTracking
from e2i_assets.serving.server.admission import Admission
from e2i_assets.serving.store import swagger_ui
from e2i_assets.settings import Settings
from e2i_assets.warehouse.failures import DriverError
from e2i_assets.warehouse.queries.deployments import BEGUN, end_change, record_change
from e2i_assets.warehouse.warehouse import Warehouse

log = logging.getLogger("e2i.api")
WITHIN = 120.0
"""Seconds that a rollback is waited for; where a release has to be started, it takes some."""
STATUS = {
    "no_such_model": 404, "no_such_version": 404, "not_deployed": 404, "no_reconciler": 503, "too_slow": 504,
    "token_needed": 401, "token_wrong": 401,
    "no_token_configured": 403, "database_failed": 503,
}  # fmt: skip
"""Kind of an error to the status that it is answered with; 409 where nothing better is known."""


class TokenRefused(E2IError):
    """A change by somebody who has not shown that they may."""

    code = "token_refused"


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be of printable characters")
    return text


_Line = Annotated[str, AfterValidator(_printable)]


class Rollback(BaseModel):
    """What is to be rolled back; without a version, the whole release before."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: _Line = Field(min_length=1, max_length=200)
    target_version: (
        Annotated[int, Field(strict=True, ge=1, lt=2**31)] | Annotated[_Line, Field(max_length=20)] | None
    ) = None
    reason: _Line | None = Field(None, max_length=500)


def operations_api(here: Settings, warehouse: Warehouse, middleware: Sequence[Middleware] = ()) -> FastAPI:
    """The application.

    Args:
        middleware: what stands before it.
    """
    # What stands before it, then who lets in only JSON of a bounded size.
    stands = [*middleware, Middleware(Admission)]
    app = FastAPI(title="E2I operations", middleware=stands, docs_url=None, redoc_url=None)
    _documented(app)

    @app.exception_handler(E2IError)
    def refused(_: Request, error: E2IError) -> JSONResponse:
        return JSONResponse({"error": error.document()}, STATUS.get(error.code, 409))

    @app.exception_handler(DriverError)
    def database_away(_: Request, __: DriverError) -> JSONResponse:
        error = E2IError("the database does not answer", "Ask again once it does.", code="database_failed")
        return JSONResponse({"error": error.document()}, STATUS[error.code])

    async def invalid(request: Request, wrong: Sequence[tuple[str, str]], status: int) -> JSONResponse:
        """A change that cannot be read is one that was tried, too; of its content only names are kept."""
        error = E2IError(
            "; ".join(f"{field}: {rule}" for field, rule in wrong),
            "Send what /docs describes.",
            code="invalid",
        )
        names, action = {"invalid": [field for field, _ in wrong]}, request.url.path.rpartition("/")[2]
        await run_in_threadpool(record_change, warehouse, action, names, _caller(request), "invalid")
        return JSONResponse({"error": error.document()}, status)

    @app.exception_handler(RequestValidationError)
    async def not_as_described(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = {".".join(_field(one["loc"])): one["msg"] for one in error.errors()}
        return await invalid(request, sorted(wrong.items()), 422)

    @app.exception_handler(400)
    async def unread(request: Request, _: Exception) -> JSONResponse:
        return await invalid(request, [("body", "must be JSON in UTF-8")], 400)

    @app.get("/api/data/status")
    def status_of_data() -> dict[str, Any]:
        """What the warehouse holds, and how old it is."""
        known = {key: one.partition_key for key, one in cohort_configs(here.config_dir).items()}
        statuses = warehouse.status_of(list(known.values()))
        partitions = {key: statuses[pair] for key, pair in known.items()}
        return data_status(warehouse.status(), partitions, dt.datetime.now(dt.UTC))

    @app.get("/api/deployments/status")
    def status_of_deployments() -> dict[str, Any]:
        """What answers where, what is warm, and the newest incidents."""
        return deployments(here, warehouse)

    @app.get("/api/models")
    def versions() -> dict[str, Any]:
        """Every registered version with its stage."""
        return registered_models(warehouse)

    # Said in the documentation; that it is shown is checked below, where a refusal leaves its row.
    @app.post("/api/deployments/rollback", dependencies=[Security(HTTPBearer(auto_error=False))])
    def rollback(request: Request, wish: Rollback) -> dict[str, Any]:
        """Go back to an earlier version of a model, and wait until it answers."""
        with _audited(warehouse, "rollback", wish.model_dump(), request):
            _require_token(here, request)
            require_reconciler(warehouse)
            back = roll_back(
                warehouse, here, wish.model_name, wish.target_version,
                by="operations API", reason=wish.reason,
            )  # fmt: skip
            release = await_release(warehouse, back.release, within=WITHIN)
        registry = ModelRegistry(here, warehouse, ExperimentTracking(here))
        not_told = [behind for name in back.models if (behind := registry.tell_mlflow(name))]
        return {
            "model_name": wish.model_name,
            "service": release.service_name,
            "release": release.release,
            "members": release.members,
            "status": release.status,
            "warnings": not_told,
        }

    return app


def _documented(app: FastAPI) -> None:
    """`/docs` without the Internet: with the Swagger UI that BentoML brings for the services."""
    app.mount("/static", StaticFiles(directory=swagger_ui()))

    @app.get("/docs", include_in_schema=False)
    def documented() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url="/static/swagger-ui-bundle.js",
            swagger_css_url="/static/swagger-ui.css",
            swagger_favicon_url="/static/favicon-light-32x32.png",
        )


@contextmanager
def _audited(warehouse: Warehouse, action: str, asked: dict[str, Any], request: Request) -> Iterator[None]:
    """Write down what was asked before anything is done, and afterwards how it ended.

    Where it cannot be written down nothing is done; where the end of it cannot, the row says that it began.
    """
    number = record_change(warehouse, action, asked, _caller(request), BEGUN)
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except E2IError as error:
        outcome = error.code
        raise
    finally:
        try:
            end_change(warehouse, number, outcome)
        except DriverError:
            log.warning("the outcome of change %s, %s, could not be written down", number, outcome)


def _field(place: Sequence[int | str]) -> Sequence[str]:
    """The field that an error is about; one that there is not is called as it was sent by nobody."""
    known = [str(part) for part in place[1:2] if part in Rollback.model_fields]
    return known or ["body" if len(place) < 2 or isinstance(place[1], int) else "a field that there is not"]


def _caller(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _require_token(here: Settings, request: Request) -> None:
    """Let through who shows the token (`Authorization: Bearer …`).

    Raises:
        TokenRefused: they do not, or there is none.
    """
    if here.api_token is None or not (wanted := here.api_token.get_secret_value()):
        raise TokenRefused(
            "changes are refused, because no token is configured",
            "Set E2I_API_TOKEN to a long random text where this API is started, and send it as "
            "`Authorization: Bearer TOKEN`; or use `e2i deploy rollback`.",
            code="no_token_configured",
        )
    kind, _, shown = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not shown:
        raise TokenRefused(
            "a change wants the token", "Send `Authorization: Bearer TOKEN`.", code="token_needed"
        )
    if not hmac.compare_digest(shown.strip().encode(), wanted.encode()):
        raise TokenRefused("this is not the token", "Send that of E2I_API_TOKEN.", code="token_wrong")
