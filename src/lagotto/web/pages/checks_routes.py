"""The site of a hub comes in; the routes of coverage, audits, duplicates and status go out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from lagotto.core.errors import LagottoError
from lagotto.hub.labels.duplicates import DUPLICATE
from lagotto.web.pages.fields import read_labels, read_number
from lagotto.web.pages.site import Site
from lagotto.web.problems import Problem, problem_of
from lagotto.web.views.checks import audits_page, cover_rows, duplicates_page
from lagotto.web.views.status import add_progress, status_page

_LOOK_S = 1.0
_STREAM_S = 300.0
_STILL_LOOKS = 15
"""Looks without a change after which the stream says that it is alive."""


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
            labels = read_labels(text, state.limits)
            hub = state.hub
            covered = site.kept.get(
                hub, ("cover", labels, top), lambda: hub.cover(list(labels), top=top)
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
        hub = state.hub
        page = hub.read(lambda _: status_page(hub, first, wanted))
        return site.page("status.html", "/status", {"page": page, "progress": page.progress})

    @routes.get("/status")
    async def status_route(request: Request) -> Response:
        first = read_number(request.query_params.get("from"), "from", 0) or 0
        wanted = request.query_params.get("q", "").strip()[:100]
        return await state.gate.run(lambda: status(first, wanted))

    def live() -> str:
        hub = state.hub
        return site.text("live.html", {"progress": hub.read(lambda _: add_progress(hub))})

    @routes.get("/status/events")
    async def events_route(request: Request) -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            said, still = "", 0
            yield "retry: 2000\n\n"
            for _ in range(int(_STREAM_S / _LOOK_S)):
                if await request.is_disconnected():
                    return
                text = await asyncio.to_thread(live)
                still = still + 1 if text == said else 0
                if text != said:
                    lines = "".join(f"data: {line}\n" for line in text.splitlines())
                    yield f"event: status\n{lines}\n"
                    said = text
                elif still % _STILL_LOOKS == 0:
                    yield ": still here\n\n"
                await asyncio.sleep(_LOOK_S)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
