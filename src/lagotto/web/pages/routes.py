"""The state of a server comes in; the routes of its pages go out."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from lagotto.web.state import ServerState


def router(state: ServerState) -> APIRouter:
    """The routes of the pages; addresses under /api are not theirs."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def start_page() -> HTMLResponse:
        return HTMLResponse("<!doctype html><html lang=en><title>Lagotto</title></html>")

    return routes
