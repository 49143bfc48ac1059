"""Models that no file holds come in; hubs that have probed them go out, alone or in shards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from lagotto.hub.hub import Hub
from lagotto.hub.ingest.merging.facts import ShardFacts, record_shard
from lagotto.hub.ingest.response_files import file_facts
from lagotto.hub.ingest.segments import rebuild_blocks
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import Listing, ModelFacts
from lagotto.hub.store.references import record_references
from lagotto.hub.store.responses import ResponsesHeader, SeenProbes, write_responses


@dataclass(frozen=True)
class MadeModel:
    """A model of a list: its number makes its digest and its responses.

    `seen` is how many probes it saw, None all of them; `fails` that it could not be probed.
    """

    number: int
    name: str
    source: str
    outputs: int = 3
    seen: int | None = None
    fails: bool = False
    labels: tuple[str, ...] | None = None
    reference: bool = False

    @property
    def digest(self) -> str:
        return sha256(f"model {self.number}".encode()).hexdigest()


def fill(hub: Hub, models: Sequence[MadeModel], positions: Iterable[int] | None = None) -> None:
    """Does what `hub add` does, without probing: lists models and records what came of them."""
    layout = HubLayout(hub.folder)
    layout.responses.mkdir(exist_ok=True)
    places = [None] * len(models) if positions is None else [*positions]
    with Catalog(layout.catalogue, writable=True) as catalogue:
        listings = [
            Listing(model.digest, model.name, model.source, place)
            for model, place in zip(models, places, strict=True)
        ]
        plan = catalogue.plan(listings)
        first = {model.digest: model for model in reversed(models)}
        for record in plan.pending:
            _record(hub, catalogue, first[record.digest])
        rebuild_blocks(layout, catalogue, hub.probe_digest)


def _record(hub: Hub, catalogue: Catalog, model: MadeModel) -> None:
    if model.fails:
        catalogue.record_failure(model.digest, "error", f"{model.number} is no model")
        return
    probes = hub.reader.probe_count
    rng = np.random.default_rng(model.number)
    values = rng.normal(0, 3, (probes, model.outputs)).astype(np.float32)
    seen = None
    if model.seen is not None:
        indices = np.sort(rng.permutation(probes)[: model.seen])
        values, seen = values[indices], SeenProbes(indices, probes)
    path = HubLayout(hub.folder).responses_of(model.digest)
    header = ResponsesHeader(model.digest, hub.probe_digest, "onnx", "raw")
    checksum = write_responses(path, values, header, seen)
    facts = ModelFacts(
        *("onnx", model.outputs, "logits", "raw", {"size": [8, 8]}, ("a note",), model.labels),
        *(("",) * model.outputs, checksum),
    )
    catalogue.record_done(model.digest, facts, file_facts(path, len(values)))
    if model.reference:
        record_references(catalogue, [catalogue.done([model.digest])[0].name])


def fill_shard(hub: Hub, models: Sequence[MadeModel], chosen: Sequence[int], shard: str) -> None:
    """Makes a hub a shard of a list: it has the models at some places."""
    index, _, of = shard.partition("/")
    names = sha256(repr([model.name for model in models]).encode()).hexdigest()
    with Catalog(HubLayout(hub.folder).catalogue, writable=True) as catalogue:
        record_shard(catalogue, ShardFacts(int(index), int(of), names, len(models)))
    fill(hub, [models[place] for place in chosen], chosen)
