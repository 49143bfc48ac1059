"""The state of a server comes in; all routes of the API go out."""

from fastapi import APIRouter

from lagotto.web.api import classify, health, hub, jobs, labels, models, outputs, probes, search
from lagotto.web.state import ServerState

PREFIX = "/api/v1"


def router(state: ServerState) -> APIRouter:
    """The routes under /api/v1, and those of health and metrics."""
    routes = APIRouter()
    for room in (hub, search, probes, labels, classify, jobs, outputs, models):
        routes.include_router(room.router(state), prefix=PREFIX)
    routes.include_router(health.router(state))
    return routes
