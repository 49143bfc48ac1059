"""Descriptions, audits and coverages come in; the JSON objects that the commands print go out."""

from collections.abc import Sequence
from typing import cast

from lagotto.core.types import JsonObject, Probe
from lagotto.hub.labels.audit import ModelAudit
from lagotto.hub.labels.coverage import ModelCoverage
from lagotto.hub.labels.describe import ModelDescription
from lagotto.hub.labels.duplicates import DuplicateReport


def description_answer(
    hub: str,
    description: ModelDescription,
    probes: Sequence[Probe],
    vocabulary: str,
    elapsed_s: float,
) -> JsonObject:
    """The object that `lagotto describe --json` prints; `vocabulary` says whose words they are."""
    fields = description.as_json()
    for logit in cast("list[JsonObject]", fields["logits"]):
        numbers = cast("list[int]", logit["probes"])
        logit["probes"] = [{"index": p, "source": probes[p].source} for p in numbers]
    return {
        "hub": hub,
        **fields,
        "vocabulary": {"source": vocabulary, "names": description.vocabulary},
        "elapsed_s": round(elapsed_s, 6),
    }


def audit_answer(hub: str, audits: Sequence[ModelAudit]) -> JsonObject:
    """The object that `lagotto audit --json` prints."""
    return {"hub": hub, "models": [audit.as_json() for audit in audits]}


def coverage_answer(
    hub: str, labels: Sequence[str], models: Sequence[ModelCoverage], elapsed_s: float
) -> JsonObject:
    """The object that `lagotto search --labels --json` prints."""
    return {
        "query": {"kind": "labels", "value": [label.strip() for label in labels]},
        "hub": hub,
        "models": [model.as_json() for model in models],
        "elapsed_s": round(elapsed_s, 6),
    }


def duplicates_answer(hub: str, report: DuplicateReport) -> JsonObject:
    """The object that `lagotto duplicates --json` prints."""
    return {"hub": hub, **report.as_json()}
