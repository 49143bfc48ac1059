"""Model files come in; how each would be run goes out, for `lagotto hub add --inspect`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.progress import Progress
from lagotto.core.types import Decision, JsonObject, JsonValue, ModelSource
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.ingest.probing import inspection_tasks
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.base import Outcome
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.description import parse_description
from lagotto.models.metadata.scan import scan_models


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is known of a model, in words, and where it is from.

    `origin` is "model.json", "file" (the model file), the name of another file beside it, "path"
    (where it lies), "inferred" (found by trying) or "assumed" (the usual value).
    """

    fact: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a model would be run.

    `output` is what the file publishes, `logits_source` how its logits are read, `labels` the
    number of class names. `input` has one decision for each part of the input. `facts` has the
    origin of each thing that is known: name, size, layout, channels, scale, mean, std, resize,
    output, labels. `failure` is why the model cannot be run; the other fields are then empty.
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
    facts: tuple[Fact, ...] = ()

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
            "origins": {"output": str(output_origin), "labels": str(labels_origin)},
        }:
            try:
                decisions = decisions_from_json(described)
                facts = (
                    *_facts(source, decisions, described),
                    Fact("output", output, output_origin),
                    Fact("labels", _listed(labels), labels_origin or "-"),
                )
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
                facts=facts,
            )
    return Inspection(name, path, failure="its worker gave an answer that cannot be read")


def _facts(
    source: ModelSource, decisions: tuple[Decision, ...], described: JsonObject
) -> Iterator[Fact]:
    """The name of a model and the parts of its input; mean and std come after the scale."""
    description = parse_description(source.description)
    yield Fact("name", source.name, "model.json" if description.name == source.name else "path")
    for decision in decisions:
        if decision.field != "scale":
            yield Fact(decision.field, decision.value, decision.origin)
            continue
        yield Fact("scale", str(described.get("scale")), decision.origin)
        for key, plain, declared in (
            ("mean", "0", description.input.mean),
            ("std", "1", description.input.std),
        ):
            values = described.get(key)
            numbers = values if isinstance(values, list) else []
            text = " ".join(f"{number:g}" for number in numbers if isinstance(number, float | int))
            yield Fact(key, text or plain, "model.json" if declared and text else decision.origin)


def _listed(labels: list[JsonValue] | None) -> str:
    if not labels:
        return "none"
    first = ", ".join(str(label)[:40] or "(unnamed)" for label in labels[:3])
    return f"{len(labels)}: {first}" + (", ..." if len(labels) > 3 else "")
