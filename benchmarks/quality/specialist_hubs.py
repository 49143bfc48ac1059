"""A hub comes in; real hubs for scenarios go out: other lists, references, fewer models, decoys.

Every scenario is a copy of the hub on disk that is opened as a user's is, so a search for
specialists reads in it whatever it reads in any hub.
"""

import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lagotto.core.progress import Silent
from lagotto.encoders.base import Encoder
from lagotto.hub.descriptors.standardize import measure_moments
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.response_files import file_facts
from lagotto.hub.prepare import keep_blocks, refresh_twins
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.lock import hub_lock
from lagotto.hub.store.records import Listing, ModelFacts, ModelRecord
from lagotto.hub.store.responses import ResponsesHeader, write_responses
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest
from quality.reference_copies import Copies, Labels

DECOYS = 20


@dataclass(frozen=True)
class Decoy:
    """A model without names that is made of a model of the hub.

    `change` makes its logits of that model's, on probes and on pictures alike.
    """

    name: str
    model: str
    change: Callable[[np.ndarray], np.ndarray]


def draw_decoys(responses: Mapping[str, np.ndarray], seed: int) -> tuple[Decoy, ...]:
    """Every second decoy has permuted outputs, the others have outputs mixed by a random matrix."""
    rng = np.random.default_rng(seed)
    drawn = []
    for number in range(DECOYS):
        model = list(responses)[rng.integers(len(responses))]
        outputs = responses[model].shape[1]
        if number % 2:
            order = rng.permutation(outputs)
            drawn.append(Decoy(f"decoy{number:02d}", model, lambda x, order=order: x[:, order]))
        else:
            mix = rng.normal(size=(outputs, outputs)) / np.sqrt(outputs)
            centre = responses[model].mean(axis=0)
            change = lambda x, mix=mix, centre=centre: (x - centre) @ mix  # noqa: E731
            drawn.append(Decoy(f"decoy{number:02d}", model, change))
    return tuple(drawn)


@dataclass(frozen=True)
class Scenario:
    """What a hub differs in, and whether its names are read.

    Attributes:
        use_names: whether labels count as evidence.
        relabel: the new list of a model, from its name and its list.
        references: the models that are references.
        gone: models whose file has gone: they teach, but cannot be asked.
        without: how the names of the models begin that are removed.
        decoys: models that are added.
    """

    use_names: bool = True
    relabel: Callable[[str, Labels], Labels] | None = None
    references: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    decoys: tuple[Decoy, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Scenarios with equal keys have the same hub."""
        return self.relabel, self.references, self.gone, self.without, self.decoys


class ScenarioHubs:
    """Makes the hubs of scenarios in a folder; lists that change are audited anew."""

    def __init__(self, hub: Path, encoder: Encoder | str, folder: Path) -> None:
        self._copies = Copies(hub, encoder, folder)
        self._folder = folder

    def make(self, scenario: Scenario) -> Hub:
        """A copy of the hub as the scenario says; `drop` removes it."""
        hub = self._copies.make(scenario.relabel, scenario.references)
        for name in [name for name in hub.models if name.startswith(scenario.without or ("-",))]:
            hub.remove(name)
        _lose_files(hub.folder, scenario.gone)
        if scenario.decoys:
            enter_decoys(hub, scenario.decoys, self._folder / "decoys")
        return hub

    def drop(self, hub: Hub) -> None:
        self._copies.drop(hub)
        shutil.rmtree(self._folder / "decoys", ignore_errors=True)


def enter_decoys(hub: Hub, decoys: Collection[Decoy], folder: Path) -> None:
    """Adds models to a hub with responses that are given; their files are copies in a folder."""
    layout = HubLayout(hub.folder)
    records = {record.name: record for record in hub.reader.records()}
    with hub_lock(hub.folder), Catalog(layout.catalogue, writable=True) as catalogue:
        for decoy in decoys:
            record = records[decoy.model]
            source = _copy_model(Path(record.source), folder / decoy.name)
            (scanned,) = scan_models([source])
            digest = behaviour_digest(scanned)
            responses = decoy.change(hub.responses(decoy.model).astype(np.float64))
            catalogue.plan([Listing(digest, decoy.name, str(source))])
            path = layout.responses_of(digest)
            facts = _write(path, responses.astype(np.float32), digest, record, hub)
            catalogue.record_done(digest, facts, file_facts(path, len(responses)))
        keep_blocks(hub.reader, catalogue)
        refresh_twins(hub.reader, Silent())


def _copy_model(source: Path, folder: Path) -> Path:
    """A copy of a model that counts as another one: a byte is appended to its file."""
    shutil.copytree(source.parent, folder)
    file = folder / source.name
    file.write_bytes(file.read_bytes() + folder.name.encode())
    return file


def _write(
    path: Path, responses: np.ndarray, digest: str, record: ModelRecord, hub: Hub
) -> ModelFacts:
    header = ResponsesHeader(
        digest, hub.reader.probe_digest, record.framework, record.logits_source
    )
    return ModelFacts(
        framework=record.framework,
        outputs=record.outputs,
        output=record.output,
        logits_source=record.logits_source,
        input=record.input,
        notes=(),
        labels=None,
        invalid=measure_moments(responses).invalid,
        responses_sha256=write_responses(path, responses, header),
    )


def _lose_files(hub: Path, models: Collection[str]) -> None:
    with closing(sqlite3.connect(hub / "catalogue.sqlite")) as tables, tables:
        for name in models:
            lost = str(hub / "gone" / name)
            tables.execute("UPDATE models SET source = ? WHERE name = ?", (lost, name))
