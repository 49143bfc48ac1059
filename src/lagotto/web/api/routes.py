"""The state of a server comes in; all routes of the API go out."""

from fastapi import APIRouter

from lagotto.web.api.classify import classify_routes
from lagotto.web.api.health import health_routes
from lagotto.web.api.hub import hub_routes
from lagotto.web.api.jobs import job_routes
from lagotto.web.api.labels import label_routes
from lagotto.web.api.models import model_routes
from lagotto.web.api.outputs import output_routes
from lagotto.web.api.probes import probe_routes
from lagotto.web.api.search import search_routes
from lagotto.web.state import ServerState

_PREFIX = "/api/v1"


def api_router(state: ServerState) -> APIRouter:
    """The routes under /api/v1, and those of health and metrics."""
    routes = APIRouter()
    for made in (
        hub_routes,
        search_routes,
        probe_routes,
        label_routes,
        classify_routes,
        job_routes,
        output_routes,
        model_routes,
    ):
        routes.include_router(made(state), prefix=_PREFIX)
    routes.include_router(health_routes(state))
    return routes
