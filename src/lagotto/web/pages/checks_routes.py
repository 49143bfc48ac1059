"""The site of a hub comes in; the routes of coverage, audits, duplicates and status go out."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from lagotto.core.errors import LagottoError
from lagotto.hub.labels.duplicates import DUPLICATE
from lagotto.web.pages.fields import read_number, split_label_lines
from lagotto.web.pages.site import Site
from lagotto.web.problems import Problem, problem_of
from lagotto.web.views.checks import audits_page, cover_rows, duplicates_page
from lagotto.web.views.status import status_page


def add_checks(routes: APIRouter, site: Site) -> None:
    """Adds the routes."""
    _add_cover(routes, site)
    _add_reports(routes, site)
    _add_status(routes, site)


def _add_cover(routes: APIRouter, site: Site) -> None:
    state = site.state

    def cover(text: str, top: int) -> Response:
        context: dict[str, Any] = {"text": text, "rows": None, "error": "", "labels": ()}
        if not text:
            return site.page("cover.html", "/cover", context)
        try:
            labels = split_label_lines(text, state.limits)
            covered = state.remember(
                ("page", "cover", labels, top), lambda: state.slow_hub.cover(list(labels), top=top)
            )
        except (LagottoError, Problem) as error:
            problem = problem_of(error)
            context["error"] = problem.detail
            return site.page("cover.html", "/cover", context, problem.status)
        context.update(rows=cover_rows(covered), labels=labels)
        return site.page("cover.html", "/cover", context)

    @routes.get("/cover")
    async def cover_route(request: Request) -> Response:
        text = request.query_params.get("labels", "").strip()
        top = read_number(request.query_params.get("top"), "top", 10, 1, 50) or 10
        return await state.gate.run(lambda: cover(text, top))


def _add_reports(routes: APIRouter, site: Site) -> None:
    state = site.state

    def audits(verdict: str) -> Response:
        hub = state.hub
        page = hub.read(lambda _: audits_page(hub, verdict))
        return site.page("audit.html", "/audit", {"page": page})

    @routes.get("/audit")
    async def audit_route(verdict: str = "") -> Response:
        return await state.gate.run(lambda: audits(verdict))

    def duplicates() -> Response:
        page = duplicates_page(site.duplicates(), DUPLICATE)
        return site.page("duplicates.html", "/duplicates", {"page": page})

    @routes.get("/duplicates")
    async def duplicates_route() -> Response:
        return await state.gate.run(duplicates)


def _add_status(routes: APIRouter, site: Site) -> None:
    state = site.state

    def status(first: int, wanted: str) -> Response:
        hub = state.slow_hub
        page = hub.read(lambda _: status_page(hub, first, wanted))
        context = {"page": page, "progress": state.progress()}
        return site.page("status.html", "/status", context)

    @routes.get("/status")
    async def status_route(request: Request) -> Response:
        first = read_number(request.query_params.get("from"), "from", 0) or 0
        wanted = request.query_params.get("q", "").strip()[:100]
        return await state.gate.run(lambda: status(first, wanted))

    @routes.get("/status/live")
    async def live_route() -> HTMLResponse:
        progress = await asyncio.to_thread(state.progress)
        return HTMLResponse(site.text("live.html", {"progress": progress}))
