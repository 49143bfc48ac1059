"""A hub's catalogue comes in; what `hub status` says of each model goes out, one at a time."""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from lagotto.core.types import Decision, JsonObject
from lagotto.hub.completion.stored import HubCompletion
from lagotto.hub.ingest.input_record import decisions_from_json
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import MODEL_COLUMNS, ModelRecord, model_record
from lagotto.hub.store.responses import read_responses
from lagotto.hub.store.segments import read_probes_seen


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A probed model; the fields are the keys of `hub status --json`.

    `flawed_logits` counts its invalid logits, which are not searched. It saw `probes_seen` of the
    probes; `searched` says on which it is searched (`all`, `completed` with predictions, or only
    those `seen`), and `why` gives the reason. `input` has one decision for each part of its input.
    `architecture` is what its weights were recognized as, "" where the file holds its own graph;
    `kind` is classifier, detector or segmenter. `device` is where it ran over the probes when it
    was added: `cpu` or `cuda:N`.
    """

    name: str
    source: str
    framework: str
    outputs: int
    logits_source: str
    flawed_logits: int
    notes: tuple[str, ...]
    probes_seen: int
    searched: str
    why: str
    input: tuple[Decision, ...]
    architecture: str = ""
    kind: str = "classifier"
    device: str = "cpu"

    def as_json(self) -> JsonObject:
        """The fields by name, with tuples as lists."""
        fields: JsonObject = json.loads(json.dumps(asdict(self)))
        return fields


def model_statuses(
    layout: HubLayout,
    catalogue: Catalog,
    completion: HubCompletion | None,
    probes: int,
    name_part: str = "",
    names: Collection[str] | None = None,
) -> Iterator[ModelStatus]:
    """The status of each probed model, in the order of the catalogue.

    Args:
        layout: The hub.
        catalogue: Its catalogue.
        completion: Its completion, if it has one.
        probes: How many probes it has.
        name_part: Only models with this in their names; the case of ASCII letters does not matter.
        names: Only the models of these names; other names are passed over.
    """
    flawed = dict(
        catalogue.run("SELECT model, count(*) FROM logits WHERE flaw != '' GROUP BY model")
    )
    seen = read_probes_seen(catalogue)
    records = _read_done(catalogue, name_part) if names is None else _read_named(catalogue, names)
    for record in records:
        number = seen.get(record.position)
        if number is None:
            path = layout.responses_of(record.digest)
            number = len(read_responses(path).seen_probes) if path.is_file() else 0
        searched, why = _searched(completion, record.digest, number >= probes or not number)
        yield ModelStatus(
            name=record.name,
            source=record.source,
            framework=record.framework,
            outputs=record.outputs,
            logits_source=record.logits_source,
            flawed_logits=int(flawed.get(record.position, 0)),
            notes=record.notes,
            input=decisions_from_json(record.input),
            probes_seen=number,
            searched=searched,
            why=why,
            architecture=record.architecture,
            kind=record.kind,
            device=record.device,
        )


def _read_done(catalogue: Catalog, name_part: str = "") -> Iterator[ModelRecord]:
    """The models that are done, some at a time; those with a part in their names, in any case."""
    last = -1
    query = (
        f"SELECT {MODEL_COLUMNS} FROM models WHERE status = 'done' AND position > ? "
        "AND instr(lower(name), lower(?)) > 0 ORDER BY position LIMIT 1000"
    )
    while rows := catalogue.run(query, (last, name_part)):
        yield from map(model_record, rows)
        last = int(rows[-1][0])


def _read_named(catalogue: Catalog, names: Collection[str]) -> Iterator[ModelRecord]:
    """The models of these names that are done, in the order of the catalogue."""
    places = ", ".join("?" * len(names))
    query = (
        f"SELECT {MODEL_COLUMNS} FROM models WHERE status = 'done' AND name IN ({places}) "
        "ORDER BY position"
    )
    yield from map(model_record, catalogue.run(query, tuple(names)))


def _searched(completion: HubCompletion | None, digest: str, full: bool) -> tuple[str, str]:
    """On which probes a model is searched, and why."""
    verdict = None if completion is None else completion.verdicts.get(digest)
    if verdict is not None:
        return verdict.use, "" if full else verdict.reason
    return ("all", "") if full else ("seen", "the next hub add or search completes it")
