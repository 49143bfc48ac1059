"""The folders of hubs come in; parts of one hub go out, checked, with their models in order."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import HubError, UsageError
from lagotto.core.lock import is_locked
from lagotto.hub.ingest.merging.empty_copy import check_same
from lagotto.hub.ingest.merging.facts import ListedModel, ShardFacts, read_listed, read_shard
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import Manifest, read_hub_manifest
from lagotto.hub.store.records import Copy, FailureRecord, Listing, ModelFacts, ModelRecord
from lagotto.hub.store.references import read_references, reference_damages


@dataclass(frozen=True, slots=True)
class Part:
    """A hub that is merged into another one; its catalogue is open for reading.

    `failures` are by digest, `references` are digests. `shard` is None for one that is no shard.
    """

    layout: HubLayout
    catalogue: Catalog
    models: tuple[ListedModel, ...]
    copies: tuple[Copy, ...]
    failures: Mapping[str, FailureRecord]
    references: frozenset[str]
    shard: ShardFacts | None

    def record(self, digest: str) -> ModelRecord | None:
        """The record of a probed model; None if it has no such one.

        Raises HubError if the record, or a label of the model, is not as it was written.
        """
        found = self.catalogue.done([digest])
        written = self.catalogue.run("SELECT record_sha256 FROM models WHERE digest = ?", (digest,))
        if found and written != [(self.catalogue.record_digest(digest),)]:
            raise HubError(f"its record in {self.layout.catalogue.name} was altered")
        return found[0] if found else None

    def facts(self, record: ModelRecord) -> ModelFacts:
        """What was recorded when a model was probed."""
        logits = self.catalogue.logits(record.digest)
        labels = tuple(logit.label for logit in logits)
        named = tuple(label for label in labels if label is not None)
        return ModelFacts(
            framework=record.framework,
            outputs=record.outputs,
            output=record.output,
            logits_source=record.logits_source,
            input=record.input,
            notes=record.notes,
            labels=named if len(named) == len(labels) else None,
            invalid=tuple(logit.invalid for logit in logits),
            responses_sha256=record.responses_sha256,
        )


def open_parts(
    stack: ExitStack, hub: Path, manifest: Manifest, folders: Sequence[Path]
) -> list[Part]:
    """The hubs in some folders, open until the stack is closed; each folder once.

    Raises:
        UsageError: One of them is the hub that they are merged into.
        HubError: One is no hub, is damaged, or is being written to.
        MismatchError: One has other probes or another encoder; both are named.
    """
    parts = []
    for folder in {folder.resolve(): folder for folder in folders}.values():
        if folder.resolve() == hub.resolve():
            raise UsageError(f"{folder} is the hub itself; name the hubs that are merged into it")
        check_same(hub, manifest, folder, read_hub_manifest(folder))
        if is_locked(folder):
            raise HubError(f"another process is writing to {folder}; wait for it, and merge then")
        parts.append(_open(stack, HubLayout(folder)))
    return parts


def _open(stack: ExitStack, layout: HubLayout) -> Part:
    catalogue = stack.enter_context(Catalog(layout.catalogue))
    models = read_listed(catalogue)
    if altered := reference_damages(catalogue):
        raise HubError(f"{layout.folder}: {altered[0]}; see: lagotto hub verify {layout.folder}")
    references = {*read_references(catalogue)}
    return Part(
        layout,
        catalogue,
        tuple(models),
        catalogue.copies(),
        {failure.digest: failure for failure in catalogue.failures()},
        frozenset(model.digest for model in models if model.name in references),
        read_shard(catalogue),
    )


def in_order(parts: Sequence[Part]) -> list[tuple[Part, ListedModel]]:
    """The models of all parts: hub by hub, and those of the shards of one list in its order."""
    first: dict[object, int] = {}
    for number, part in enumerate(parts):
        first.setdefault(_list_of(part, number), number)
    keyed = [
        ((first[_list_of(part, number)], model.position, number), part, model)
        for number, part in enumerate(parts)
        for model in part.models
    ]
    keyed.sort(key=lambda item: item[0])
    return [(part, model) for _, part, model in keyed]


def listings(parts: Sequence[Part]) -> Iterator[Listing]:
    """The models of all parts as they were listed, in order, and then their further sources."""
    for _, model in in_order(parts):
        yield Listing(model.digest, model.listed_name, model.source)
    for part in parts:
        for copy in part.copies:
            yield Listing(copy.digest, copy.name, copy.source)


def _list_of(part: Part, number: int) -> object:
    """What the parts of one list have in common."""
    return number if part.shard is None else (part.shard.list_sha256, part.shard.of)
