"""Labels come in, or nothing; what the hub's models know of them, and of each other, goes out."""

import time
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from lagotto.core.types import JsonObject
from lagotto.hub.labels.audits.by_references import audit_hub
from lagotto.hub.reports.answers import audit_answer, coverage_answer, duplicates_answer
from lagotto.web.api.answer import documented, json_answer
from lagotto.web.api.parameters import Labels, split_labels
from lagotto.web.api.schemas.answers import AuditAnswer, CoverageAnswer, DuplicatesAnswer
from lagotto.web.state import ServerState


def label_routes(state: ServerState) -> APIRouter:
    """The routes of audits, coverages and duplicates."""
    routes = APIRouter(tags=["labels"])

    @routes.get("/audit", responses=documented(AuditAnswer))
    async def audit_all() -> Response:
        """Every model's published labels against its behaviour, as `lagotto audit` says."""
        audits = await state.gate.run(
            lambda: state.remember(("audit",), lambda: state.slow_hub.read(audit_hub))
        )
        return json_answer(audit_answer(state.name, audits))

    @routes.get("/duplicates", responses=documented(DuplicatesAnswer))
    async def duplicate_models() -> Response:
        """Models that are nearly the same, and of one kind, as `lagotto duplicates` says."""
        report = await state.gate.run(
            lambda: state.remember(("duplicates",), lambda: state.slow_hub.duplicates())
        )
        return json_answer(duplicates_answer(state.name, report))

    @routes.get("/cover", responses=documented(CoverageAnswer))
    async def cover_labels(
        labels: Labels, top: Annotated[int, Query(ge=1, le=200)] = 10
    ) -> Response:
        """The models that cover a set of labels best, as `lagotto search --labels` says."""
        names = split_labels(labels, state.limits)

        def ask() -> JsonObject:
            started = time.perf_counter()
            models = state.slow_hub.cover(names, top=top)
            return coverage_answer(state.name, names, models, time.perf_counter() - started)

        return json_answer(await state.gate.run(ask))

    return routes
