"""Names of models come in; what is known of them and of their outputs goes out."""

import json
import time
from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from lagotto.core.types import JsonObject
from lagotto.hub.reader.model_status import ModelStatus
from lagotto.hub.reports.answers import audit_answer, description_answer
from lagotto.web.api.answer import documented, json_answer
from lagotto.web.api.parameters import Cursor, ModelName, PageSize, Top
from lagotto.web.api.schemas.answers import (
    AuditAnswer,
    DescriptionAnswer,
    ModelAnswer,
    ModelListAnswer,
)
from lagotto.web.state import ServerState


def model_routes(state: ServerState) -> APIRouter:
    """The routes of models; those of their outputs have to come before: a name may have slashes."""
    routes = APIRouter(tags=["models"])

    @routes.get("/models", responses=documented(ModelListAnswer))
    def list_models(cursor: Cursor = "", limit: PageSize = 50) -> Response:
        """The models in the hub's order, a page at a time."""
        names = state.hub.models
        start = names.index(state.model(cursor)) + 1 if cursor else 0
        page = names[start : start + limit]
        statuses = state.hub.read(lambda hub: hub.statuses_of(page))
        is_last = start + len(page) >= len(names)
        return json_answer(
            {
                "hub": state.name,
                "count": len(names),
                "models": [_as_json(status) for status in statuses],
                "next": None if is_last or not page else page[-1],
            }
        )

    @routes.get("/models/{name:path}/describe", responses=documented(DescriptionAnswer))
    async def describe_one(name: ModelName, top: Top = 5) -> Response:
        """Proposed names for each output of a model, as `lagotto describe` gives them."""
        state.model(name)

        def ask() -> JsonObject:
            started = time.perf_counter()
            described = state.remember(
                ("describe", name, top), lambda: state.slow_hub.describe(name, top=top)
            )
            elapsed_s = time.perf_counter() - started
            probes = state.hub.probes
            return description_answer(state.name, described, probes, "shipped", elapsed_s)

        return json_answer(await state.gate.run(ask))

    @routes.get("/models/{name:path}/audit", responses=documented(AuditAnswer))
    async def audit_one(name: ModelName) -> Response:
        """Whether a model's published labels fit its behaviour, as `lagotto audit` says."""
        state.model(name)
        audit = await state.gate.run(
            lambda: state.remember(("audit", name), lambda: state.slow_hub.audit(name))
        )
        return json_answer(audit_answer(state.name, [audit]))

    @routes.get("/models/{name:path}", responses=documented(ModelAnswer))
    def one_model(name: ModelName) -> Response:
        """A model: its source, how it is fed and why, and its notes."""
        statuses = state.hub.read(lambda hub: hub.statuses_of((state.model(name),)))
        return json_answer({"hub": state.name, **_as_json(statuses[0])})

    return routes


def _as_json(status: ModelStatus) -> JsonObject:
    fields: JsonObject = json.loads(json.dumps(asdict(status)))
    return fields
