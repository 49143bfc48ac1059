"""An open hub comes in; it goes out indexed, compacted, with fewer models or with those of others.

What these change lies on disk; the methods of `Hub` that make and fill a hub are in hub.py.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_paths
from lagotto.core.errors import LagottoError
from lagotto.core.progress import Progress, Silent
from lagotto.hub.label_questions import LabelQuestions
from lagotto.hub.open_hub import in_turn
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.lock import hub_lock

if TYPE_CHECKING:  # these read a hub, so they are loaded by the methods that call them
    from lagotto.hub.ingest.add import AddReport
    from lagotto.hub.ingest.merging.report import MergeReport
    from lagotto.hub.labels.audit import ModelAudit
    from lagotto.hub.prepare import SegmentCounts
    from lagotto.hub.search.recall import IndexReport


_Report = TypeVar("_Report", "AddReport", "MergeReport")


class HubUpkeep(LabelQuestions):
    """What changes a hub whose models are probed."""

    @in_turn
    def audit_labels(self, progress: Progress | None = None) -> "tuple[ModelAudit, ...]":
        """Audits the published labels of all models and keeps the verdicts, which searches read.

        `add` audits the lists that it adds, against the models that the hub then holds. This makes
        all verdicts anew: for a hub of an older version, or after many models were added. Raises
        HubError if the hub cannot be written to, or its responses are damaged.
        """
        from lagotto.hub.prepare import prepare_searches

        try:
            return prepare_searches(self.reader, progress or Silent(), audit_all=True)
        finally:
            self._searcher = None

    @in_turn
    def build_index(
        self, rank: int | None = None, *, progress: Progress | None = None
    ) -> "IndexReport":
        """Makes the low-rank index of all logits, and says what it misses.

        It serves until models are added or removed. `rank` is the numbers that are kept of a logit;
        None: 64, or fewer so that they take a tenth of the descriptors' size. Raises UsageError for
        a hub without models, or a rank that it cannot have.
        """
        from lagotto.hub.prepare import keep_blocks
        from lagotto.hub.search.recall import make_index

        hub = self.reader
        with hub_lock(self.folder), Catalog(self._layout.catalogue, writable=True) as catalogue:
            keep_blocks(hub, catalogue)
            logit_index = hub.logit_index()
            hub.refresh()
            return make_index(
                self._layout, logit_index, hub.probe_digest, rank, progress or Silent()
            )

    @in_turn
    def remove_index(self) -> bool:
        """Takes the low-rank index away; False if there was none."""
        from lagotto.hub.index.low_rank_file import remove_index

        with hub_lock(self.folder):
            self.reader.refresh()
            return remove_index(self._layout)

    @in_turn
    def remove(self, model: str) -> None:
        """Removes a model, its responses and its logits; UsageError for an unknown name."""
        from lagotto.hub.prepare import remove_model

        with hub_lock(self.folder), Catalog(self._layout.catalogue, writable=True) as catalogue:
            remove_model(self.reader, catalogue, model)

    @in_turn
    def compact(self, progress: Progress | None = None) -> "SegmentCounts":
        """Merges the segments that the descriptors lie in, and frees the room of removed models.

        The answers stay the same. It needs as much free disk as the descriptors take.
        """
        from lagotto.hub.prepare import compact_hub

        return compact_hub(self.reader, progress or Silent())

    @in_turn
    def merge(self, parts: OnePathOrMany, *, progress: Progress | None = None) -> "MergeReport":
        """Adds the models of other hubs of the same probes and encoder; none is probed again.

        The hub is then what it would be if all had been added to it at once: hub by hub, and the
        shards of one list in the order of that list. Models that several have count once. The other
        hubs stay. A merge that was cut off is finished by the same call.

        Args:
            parts: Folders of other hubs, such as `add` with `shard` makes.
            progress: Told of the work.

        Returns:
            What became of all their models; a note where the labels could not be audited.

        Raises:
            MismatchError: If one has other probes or another encoder; both are named.
            HubError: If one cannot be read, or is being written to.

        Example:
            >>> hub.merge(["part1", "part2"]).added  # doctest: +SKIP
            640
        """
        from lagotto.hub.ingest.merging.merge import merge_hubs

        meter, folders = progress or Silent(), as_paths(parts, "hubs to merge")
        self._forget_models()
        report = merge_hubs(self._layout, folders, meter)
        self._forget_models()
        return self._prepared(report, meter)

    def _prepared(
        self, report: _Report, progress: Progress, *, about_references: bool = False
    ) -> _Report:
        """Makes what searches read; a report says in a note where that failed.

        Args:
            report: what was added.
            progress: told of the work.
            about_references: note in the report what speaks against the hub's references.
        """
        from lagotto.hub.prepare import prepare_searches, reference_notes

        try:
            prepare_searches(self.reader, progress, audit_all=False)
            if about_references:
                doubts: tuple[str, ...] = reference_notes(self.reader)
                report = replace(report, notes=(*report.notes, *doubts))
        except LagottoError as error:
            note = f"labels were not all audited: {error}; then run: lagotto audit HUB --all"
            return replace(report, notes=(*report.notes, note))
        finally:
            self._searcher = None
        return report
