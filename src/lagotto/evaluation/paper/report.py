"""The tables of the paper for some hub come in; JSON with the method goes out."""

from collections.abc import Sequence

from lagotto.core.types import JsonObject, JsonValue
from lagotto.evaluation.paper.tables import PaperRow, PaperTable
from lagotto.evaluation.retrieval.report import (
    RetrievalMethod,
    interval,
    rounded,
)


def paper_results(tables: Sequence[PaperTable], method: RetrievalMethod) -> JsonObject:
    """The tables as JSON; the same data and seed give the same object."""
    return {
        "method": method.as_json(),
        "tables": [
            {
                "name": table.name,
                "what": table.what,
                "repeats": table.repeats,
                "rows": [_row(row) for row in table.rows],
            }
            for table in tables
        ],
    }


def _row(row: PaperRow) -> JsonObject:
    cells: list[JsonValue] = [
        {
            "kind": cell.kind,
            "queries": cell.queries,
            "top1": rounded(cell.top1.value),
            "top5": rounded(cell.top5.value),
            "ci95": {"top1": interval(cell.top1), "top5": interval(cell.top5)},
            "top1_std_over_repeats": rounded(cell.repeat_deviation),
        }
        for cell in row.cells
    ]
    return {"name": row.name, "probes": row.probes, "k": row.k, "cells": cells}
