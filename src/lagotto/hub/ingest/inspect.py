"""Models come in; how each would be run goes out, for `hub add --inspect` and `inspect`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lagotto.core.errors import ModelError
from lagotto.core.progress import Progress
from lagotto.core.types import Decision, JsonObject, JsonValue, ModelSource
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.ingest.probing import inspection_tasks
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.base import Outcome
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.beside.label_choice import IN_FILE
from lagotto.models.metadata.description import parse_description
from lagotto.models.metadata.model_files import format_of_model
from lagotto.models.registry import external_data


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
    output, labels, format, architecture, kind, dtype. `failure` is why the model cannot be run; the
    fields of what is in the file are then empty. `format` is the form of the file, `bytes` its size
    with its external data. `architecture` is the network that its weights were recognized as, ""
    if the file holds its own graph. `kind` is classifier, detector or segmenter. `dtype` is the
    type of the input tensor, `label_names` has the class names, "" for an output without one.
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
    format: str = ""
    bytes: int = 0
    architecture: str = ""
    kind: str = ""
    dtype: str = ""
    label_names: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        return fields


def inspect_models(
    probe_set: ProbeSet | None, sources: Sequence[ModelSource], limits: Limits, progress: Progress
) -> tuple[Inspection, ...]:
    """Finds out how models would be run, in worker processes; nothing is written.

    Args:
        probe_set: Pictures on which models are tried; None: what is not declared stays as assumed.
        sources: The models.
        limits: Workers, time and memory that may be used.
        progress: Receives the models.

    Returns:
        One inspection a model, in order.
    """
    by_key = {str(index): source for index, source in enumerate(sources)}
    results: dict[str, Inspection] = {}
    runner = limits.start()
    progress.start("inspecting models", len(by_key), "models")
    try:
        for outcome in runner.run(inspection_tasks(by_key, probe_set)):
            results[outcome.key] = _inspection(by_key[outcome.key], outcome)
            progress.advance(1)
    finally:
        runner.close()
        progress.finish()
    return tuple(results[key] for key in by_key)


def _inspection(source: ModelSource, outcome: Outcome) -> Inspection:
    known = Inspection(
        source.name,
        str(source.file),
        format=format_of_model(source.file),
        bytes=_size_bytes(source.file),
    )
    if outcome.value is None:
        reason = outcome.failure.reason if outcome.failure else "no answer"
        return replace(known, failure=reason)
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
            "architecture": str(architecture),
            "kind": str(kind),
        }:
            try:
                decisions = decisions_from_json(described)
                facts = (
                    *_facts(source, decisions, described),
                    Fact("output", output, output_origin),
                    Fact("labels", _listed(labels), labels_origin or "-"),
                    Fact("format", known.format, IN_FILE),
                    Fact("architecture", architecture or "-", _recognized_by(decisions)),
                    Fact("kind", kind, IN_FILE),
                    Fact("dtype", str(described.get("dtype")), IN_FILE),
                )
            except ModelError as error:
                return replace(known, failure=str(error))
            return replace(
                known,
                framework=framework,
                outputs=outputs,
                output=output,
                logits_source=logits_source,
                labels=len(labels or ()),
                input=decisions,
                notes=tuple(str(note) for note in notes),
                facts=facts,
                architecture=architecture,
                kind=kind,
                dtype=str(described.get("dtype")),
                label_names=tuple(str(label) for label in labels or ()),
            )
    return replace(known, failure="its worker gave an answer that cannot be read")


def _size_bytes(file: Path) -> int:
    """The bytes of a model file and of its external data; 0 if it cannot be read."""
    try:
        return sum(part.stat().st_size for part in (file, *external_data(file)))
    except OSError:
        return 0


def _facts(
    source: ModelSource, decisions: tuple[Decision, ...], described: JsonObject
) -> Iterator[Fact]:
    """The name of a model and the parts of its input; mean and std come after the scale."""
    description = parse_description(source.description)
    yield Fact("name", source.name, "model.json" if description.name == source.name else "path")
    for decision in decisions:
        if decision.field == "architecture":
            continue
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


def _recognized_by(decisions: tuple[Decision, ...]) -> str:
    """Where the architecture is from: the tensors in the file, or the trial of several networks."""
    tried = (item.origin for item in decisions if item.field == "architecture")
    return next(tried, IN_FILE)


def _listed(labels: list[JsonValue] | None) -> str:
    if not labels:
        return "none"
    first = ", ".join(str(label)[:40] or "(unnamed)" for label in labels[:3])
    return f"{len(labels)}: {first}" + (", ..." if len(labels) > 3 else "")
