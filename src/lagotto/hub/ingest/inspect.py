"""Model files come in; how each would be run goes out, for `lagotto hub add --inspect`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.progress import Progress
from lagotto.core.types import Decision, JsonObject, ModelSource
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.ingest.probing import inspection_tasks
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.base import Outcome
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a model would be run.

    `output` is what the file publishes, `logits_source` how its logits are read, `labels` the
    number of class names. `input` has one decision for each part of the input. `failure` is why
    the model cannot be run; the other fields are then empty.
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
    """Finds out how models would be run; nothing is written to the hub.

    Args:
        probe_set: Pictures on which models are tried, in worker processes.
        paths: Model files, or folders to scan.
        limits: Workers, time and memory that may be used.
        progress: Receives the models.

    Returns:
        One inspection a model, in the order of the scan.

    Raises:
        UsageError: A path holds no model.
    """
    sources = {str(index): source for index, source in enumerate(scan_models(paths))}
    results: dict[str, Inspection] = {}
    runner = limits.start()
    progress.start("inspecting models", len(sources), "models")
    try:
        for outcome in runner.run(inspection_tasks(sources, probe_set)):
            results[outcome.key] = _inspection(sources[outcome.key], outcome)
            progress.advance(1)
    finally:
        runner.close()
        progress.finish()
    return tuple(results[key] for key in sources)


def _inspection(source: ModelSource, outcome: Outcome) -> Inspection:
    name, path = source.name, str(source.file)
    if outcome.value is None:
        reason = outcome.failure.reason if outcome.failure else "no answer"
        return Inspection(name, path, failure=reason)
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
                return Inspection(name, path, failure=str(error))
            return Inspection(
                model=name,
                source=path,
                framework=framework,
                outputs=outputs,
                output=output,
                logits_source=logits_source,
                labels=len(labels or ()),
                input=decisions,
                notes=tuple(str(note) for note in notes),
            )
    return Inspection(name, path, failure="its worker gave an answer that cannot be read")
