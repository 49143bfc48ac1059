"""The state of a server comes in; the routes of its pages go out."""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from lagotto.core.errors import LagottoError
from lagotto.hub.query.types import LogitQuery
from lagotto.web.pages.checks_routes import add_checks
from lagotto.web.pages.fields import read_address, read_number, search_request
from lagotto.web.pages.picture_routes import add_pictures
from lagotto.web.pages.site import Site
from lagotto.web.problems import Problem, problem_of
from lagotto.web.queries import search as find_hits
from lagotto.web.state import ServerState
from lagotto.web.views.addresses import SearchAddress
from lagotto.web.views.map import map_drawing, map_outputs, map_page, map_points
from lagotto.web.views.model import ModelExtras, model_page
from lagotto.web.views.output import compare_page, output_page
from lagotto.web.views.probe import probe_page
from lagotto.web.views.search import search_results, start_page


def router(state: ServerState) -> APIRouter:
    """The routes of the pages; addresses under /api are not theirs."""
    routes, site = APIRouter(include_in_schema=False), Site(state)
    state.errors.page = site.error_page
    _add_search(routes, site)
    _add_things(routes, site)
    _add_map(routes, site)
    add_checks(routes, site)
    add_pictures(routes, site)
    return routes


def _add_search(routes: APIRouter, site: Site) -> None:
    state = site.state

    def start() -> dict[str, Any]:
        hub = state.hub
        return hub.read(
            lambda reader: {
                "start": start_page(hub),
                "outputs": len(reader.logit_index().steps),
                "models": len(hub.models),
            }
        )

    def answer(address: SearchAddress) -> Response:
        hits = find_hits(state, search_request(address))
        hub = state.hub
        results = hub.read(lambda _: search_results(hub, hits, address, site.hub_argument))
        context = {"address": address, "chips": site.chips(address), "results": results}
        return site.page("search.html", "/", {**context, "error": "", "ways": ()})

    @routes.get("/")
    async def search_page(request: Request) -> Response:
        address = read_address(request, state.limits)
        if address.is_empty:
            context = await state.gate.run(start)
            return site.page(
                "search.html",
                "/",
                {**context, "address": address, "chips": (), "results": None, "error": ""},
            )
        try:
            return await state.gate.run(lambda: answer(address))
        except LagottoError as error:
            problem = problem_of(error)
        except Problem as error:
            problem = error
        return _search_error(site, address, problem)


def _search_error(site: Site, address: SearchAddress, problem: Problem) -> Response:
    """The search page with what is wrong, and the searches that would be right."""
    ways = []
    if address.like and (address.words or address.probe is not None or address.pictures):
        ways.append((address.changed(like="").href(), "Leave the output out"))
        alone = SearchAddress(like=address.like, by_model=address.by_model, top=address.top)
        ways.append((alone.href(), f"Search like {address.like} alone"))
    joined = "an output stands alone in a search; leave it out, or search by it alone"
    context = {
        "address": address,
        "chips": site.chips(address),
        "results": None,
        "error": joined if ways else problem.detail,
        "ways": ways,
    }
    answer = site.page("search.html", "/", context, problem.status)
    answer.headers.update(problem.headers)
    return answer


def _add_things(routes: APIRouter, site: Site) -> None:
    state = site.state

    def model(name: str, request: Request) -> Response:
        state.model(name)
        hub, asked = state.hub, request.query_params
        first = read_number(asked.get("from"), "from", 0) or 0
        extras = ModelExtras(
            description=state.remember(
                ("page", "describe", name), lambda: state.slow_hub.describe(name, top=3)
            )
            if asked.get("names")
            else None,
            audit=state.remember(("audit", name), lambda: state.slow_hub.audit(name))
            if asked.get("audit")
            else None,
            duplicates=site.duplicates() if asked.get("duplicates") else None,
        )
        page = hub.read(lambda _: model_page(hub, name, first, extras))
        answers = site.picture_logits(name, asked.get("img", "")) if asked.get("img") else None
        return site.page("model.html", "/status", {"page": page, "answers": answers})

    def output(name: str, logit: str) -> Response:
        number = read_number(logit, "output", 0) or 0
        state.output(name, number)
        hub = state.hub
        page = hub.read(lambda _: output_page(hub, name, number, site.hub_argument))
        return site.page("output.html", "/", {"page": page})

    def thing(name: str, request: Request) -> Response:
        if name not in state.hub.models:
            owner, slash, number = name.rpartition("/")
            if slash and number.isdecimal():
                return output(owner, number)
        return model(name, request)

    @routes.get("/m/{name:path}")
    async def model_or_output(name: str, request: Request) -> Response:
        return await state.gate.run(lambda: thing(name, request))

    def probe(given: str) -> Response:
        number = read_number(given, "probe", 0) or 0
        state.probe(number)
        hub = state.hub
        page = hub.read(lambda _: probe_page(hub, number))
        return site.page("probe.html", "/", {"page": page})

    @routes.get("/p/{number}")
    async def probe_route(number: str) -> Response:
        return await state.gate.run(lambda: probe(number))

    def compare(a: str, b: str) -> Response:
        if not a or not b:
            context = {"page": None, "a": a, "b": b}
            return site.page("compare.html", "/", context)
        first, second = LogitQuery.parse(a), LogitQuery.parse(b)
        for each in (first, second):
            state.output(each.model, each.index)
        hub = state.hub
        pair = (first.model, first.index), (second.model, second.index)
        page = hub.read(lambda _: compare_page(hub, *pair))
        return site.page("compare.html", "/", {"page": page, "a": a, "b": b})

    @routes.get("/compare")
    async def compare_route(a: str = "", b: str = "") -> Response:
        return await state.gate.run(lambda: compare(a[:500].strip(), b[:500].strip()))


def _add_map(routes: APIRouter, site: Site) -> None:
    state = site.state

    def hits_of(address: SearchAddress) -> Any:
        return None if address.is_empty else find_hits(state, search_request(address))

    def map_view(request: Request) -> Response:
        address = read_address(request, state.limits)
        picked = [
            int(part)
            for part in request.query_params.get("pick", "").split(",")[:200]
            if part.isascii() and part.isdecimal() and len(part) < 10
        ]
        hits, hub = hits_of(address), state.hub
        version = sha256(repr(state.mark()).encode()).hexdigest()[:12]
        page = hub.read(lambda _: map_page(hub, hits, address, picked, version))
        context = {"page": page, "address": address, "chips": site.chips(address)}
        return site.page("map.html", "/map", context)

    @routes.get("/map")
    async def map_route(request: Request) -> Response:
        return await state.gate.run(lambda: map_view(request))

    @routes.get("/map/points.bin")
    async def points_route() -> Response:
        hub = state.slow_hub
        data = await state.gate.run(
            lambda: state.remember(("page", "map"), lambda: hub.read(lambda _: map_points(hub)))
        )
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    @routes.get("/map.svg")
    async def drawing_route(request: Request) -> Response:
        address = read_address(request, state.limits)

        def draw() -> str:
            hits, hub = hits_of(address), state.hub
            return hub.read(lambda _: map_drawing(hub, hits))

        return Response(await state.gate.run(draw), media_type="image/svg+xml")

    @routes.get("/map/outputs")
    async def outputs_route(
        i: Annotated[str, Query(max_length=3000)] = "", strips: bool = False
    ) -> HTMLResponse:
        columns = [
            int(part)
            for part in i.split(",")[:200]
            if part.isascii() and part.isdecimal() and len(part) < 10
        ]
        hub = state.hub
        found = await state.gate.run(
            lambda: hub.read(lambda _: map_outputs(hub, columns, with_strips=strips))
        )
        return HTMLResponse(site.text("map_outputs.html", {"outputs": found}))
