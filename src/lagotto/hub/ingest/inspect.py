"""Model files → how each would be run, without adding any: for `lagotto hub add --inspect`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.progress import Progress
from lagotto.core.types import Decision, JsonObject, ModelSource
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.ingest.probing import inspections
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.base import Outcome
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a model would be run; `failure` is why it cannot be, and then the rest is empty.

    `output` is what the file publishes, `logits_source` how its logits are read; `labels` counts
    the class names. `input` has one decision a part of the input.
    """

    model: str
    source: str
    framework: str = ""
    outputs: int = 0
    output: str = ""
    logits_source: str = ""
    labels: int = 0
    input: tuple[Decision, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        return fields


def inspect_models(
    probe_set: ProbeSet, paths: Sequence[Path], limits: Limits, progress: Progress
) -> tuple[Inspection, ...]:
    """Every model at `paths`, in the order of the scan; nothing is written anywhere.

    Models are loaded and tried in worker processes. Raises UsageError for a path without models.
    """
    sources = {str(place): source for place, source in enumerate(scan_models(paths))}
    found: dict[str, Inspection] = {}
    runner = limits.start()
    progress.start("inspecting models", len(sources), "models")
    try:
        for outcome in runner.run(inspections(sources, probe_set)):
            found[outcome.key] = _inspection(sources[outcome.key], outcome)
            progress.advance(1)
    finally:
        runner.close()
        progress.finish()
    return tuple(found[key] for key in sources)


def _inspection(source: ModelSource, outcome: Outcome) -> Inspection:
    name, place = source.name, str(source.file)
    if outcome.value is None:
        reason = outcome.failure.reason if outcome.failure else "no answer"
        return Inspection(name, place, failure=reason)
    match outcome.value.get("record"):
        case {
            "framework": str(framework),
            "outputs": int(outputs),
            "output": str(output),
            "logits_source": str(logits_source),
            "labels": None | list() as labels,
            "notes": list(notes),
            "input": dict(described),
        }:
            try:
                decisions = decisions_from_json(described)
            except ModelError as error:
                return Inspection(name, place, failure=str(error))
            return Inspection(
                model=name,
                source=place,
                framework=framework,
                outputs=outputs,
                output=output,
                logits_source=logits_source,
                labels=len(labels or ()),
                input=decisions,
                notes=tuple(str(note) for note in notes),
            )
    return Inspection(name, place, failure="its worker gave an answer that cannot be read")
