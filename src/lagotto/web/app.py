"""A hub's folder and settings come in; the ASGI application that serves it goes out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from lagotto import __version__
from lagotto.core.errors import LagottoError
from lagotto.web.api.answer import complete_schemas
from lagotto.web.api.routes import api_router
from lagotto.web.options import ServerOptions
from lagotto.web.pages.routes import router as page_router
from lagotto.web.problems import Problem, problem_of
from lagotto.web.security.bodies import BodyLimits
from lagotto.web.security.guard import RequestGuard
from lagotto.web.security.hosts import HostList
from lagotto.web.security.token import TokenCheck
from lagotto.web.state import ServerState

STATIC = Path(__file__).parent / "static"


def create_app(hub_folder: Path | str, options: ServerOptions | None = None) -> FastAPI:
    """The application that serves a hub: pages, `/api/v1`, `/healthz` and `/metrics`.

    Its `state.server` is the `ServerState`. It is warm, and `/healthz` ready, when its lifespan
    has begun.

    Args:
        hub_folder: The hub.
        options: How it is served; None: on this machine alone, at the usual port.

    Raises:
        HubError: There is no hub, or it is damaged.
        MismatchError: The caption store was made with another encoder than the hub.

    Example:
        >>> app = create_app("my-hub")  # doctest: +SKIP
    """
    options = options or ServerOptions()
    state = ServerState(Path(hub_folder), options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with state.running():
            yield

    app = FastAPI(
        title="Lagotto",
        version=__version__,
        description="Which outputs of which classifiers recognise a concept, by behaviour.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.server = state
    _answer_errors(app, state)
    app.mount("/static", StaticFiles(directory=STATIC), "static")
    app.include_router(api_router(state))
    app.include_router(page_router(state))
    _describe(app)
    # The last one added is the outermost: host, origin and token come before the body is read.
    app.add_middleware(
        BodyLimits, limits=options.limits, errors=state.errors, allow_add=options.allow_add
    )
    app.add_middleware(
        RequestGuard,
        hosts=HostList(options.host, options.hosts),
        token=TokenCheck(options.token),
        errors=state.errors,
        note=state.metrics.note,
    )
    return app


def _describe(app: FastAPI) -> None:
    """Adds to openapi.json what the framework cannot know."""
    make = app.openapi

    def described() -> dict[str, Any]:
        is_made = app.openapi_schema is not None
        document = make()
        if not is_made:
            complete_schemas(document)
        return document

    app.openapi = described  # type: ignore[method-assign]  # the framework's own way to add to it


def _answer_errors(app: FastAPI, state: ServerState) -> None:
    """Every error becomes an answer of one form; none shows where the server keeps its files."""

    async def answer(request: Request, error: Exception) -> Response:
        return state.errors.answer(request, problem_of(error))

    for kind in (Problem, LagottoError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)
