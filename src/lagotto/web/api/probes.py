"""Numbers of probes come in; what is known of them, and their pictures, go out."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from lagotto.core.types import JsonObject, Probe
from lagotto.web.api.answer import documented, json_answer
from lagotto.web.api.parameters import By, Edge, Number, PageSize, Top
from lagotto.web.api.schemas.answers import ProbeAnswer, ProbeListAnswer, ProbeOutputsAnswer
from lagotto.web.queries import probe_outputs
from lagotto.web.state import ServerState

Version = Annotated[
    str, Query(max_length=64, description="The hub's probe_digest, or its start: for caches.")
]
_LEAST_VERSION = 8


def probe_routes(state: ServerState) -> APIRouter:
    """The routes of probes."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/probes", responses=documented(ProbeListAnswer))
    def list_probes(
        cursor: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0, limit: PageSize = 50
    ) -> Response:
        """The probes, a page at a time."""
        probes = state.hub.probes
        page = probes[cursor : cursor + limit]
        end = cursor + len(page)
        return json_answer(
            {
                "hub": state.name,
                "count": len(probes),
                "probes": [_probe_json(cursor + i, probe) for i, probe in enumerate(page)],
                "next": str(end) if end < len(probes) else None,
            }
        )

    @routes.get(
        "/probes/{number}.webp",
        response_class=Response,
        responses=documented(None, 304, content="image/webp"),
    )
    def probe_picture(
        number: Number,
        edge: Edge = 160,
        v: Version = "",
        if_none_match: Annotated[str, Header(max_length=2000)] = "",
    ) -> Response:
        """The picture of a probe, small; with `v` it may be kept for ever."""
        tag = f'"{state.probe(number).digest[:32]}-{edge}"'
        is_named = len(v) >= _LEAST_VERSION and state.hub.probe_digest.startswith(v)
        age = "max-age=31536000, immutable" if is_named else "no-cache"
        headers = {"ETag": tag, "Cache-Control": f"private, {age}"}
        if tag in {item.strip().removeprefix("W/") for item in if_none_match.split(",")}:
            return Response(None, 304, headers=headers)
        return Response(state.small_probe(number, edge), headers=headers, media_type="image/webp")

    @routes.get("/probes/{number}", responses=documented(ProbeAnswer))
    def one_probe(number: Number) -> Response:
        """A probe: its source and its captions."""
        return json_answer({"hub": state.name, **_probe_json(number, state.probe(number))})

    @routes.get("/probes/{number}/outputs", responses=documented(ProbeOutputsAnswer))
    async def outputs_of_probe(number: Number, top: Top = 20, by: By = "logit") -> Response:
        """The outputs of the whole hub that respond most to a probe."""
        by_model = by == "model"
        found = await state.gate.run(
            lambda: probe_outputs(state, number, top=top, by_model=by_model)
        )
        return json_answer(
            {
                "hub": state.name,
                "probe": number,
                "outputs": [
                    {
                        "model": item.model,
                        "logit": item.logit,
                        "label": item.label,
                        "value": item.value,
                    }
                    for item in found
                ],
            }
        )

    return routes


def _probe_json(number: int, probe: Probe) -> JsonObject:
    return {
        "probe": number,
        "digest": probe.digest,
        "source": probe.source,
        "captions": list(probe.captions),
    }
