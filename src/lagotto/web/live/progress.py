"""A hub that others may be adding to comes in; how far they are goes out."""

from dataclasses import asdict, dataclass

from lagotto.core.types import JsonObject
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import FailedModel

_LAST = 20


@dataclass(frozen=True, slots=True)
class HubProgress:
    """How far the models of a hub are.

    Attributes:
        mark: Another text after each change.
        done: Models that were probed.
        pending: Models that wait, or are being probed.
        failed: Models that could not be probed.
        is_adding: Whether a `hub add` has begun and not ended.
        last_done: Names of the models that were listed last, of those that are done.
        failures: The models that failed last, with the reasons.
    """

    mark: str
    done: int
    pending: int
    failed: int
    is_adding: bool
    last_done: tuple[str, ...]
    failures: tuple[FailedModel, ...]

    def as_json(self) -> JsonObject:
        """The fields by name, with tuples as lists."""
        return {
            "mark": self.mark,
            "done": self.done,
            "pending": self.pending,
            "failed": self.failed,
            "is_adding": self.is_adding,
            "last_done": list(self.last_done),
            "failures": [asdict(failure) for failure in self.failures],
        }


def read_progress(hub: HubReader, mark: str) -> HubProgress:
    """The progress of a hub as its catalogue says; nothing is written."""
    with Catalog(HubLayout(hub.folder).catalogue) as catalogue:
        models = catalogue.models()
        failures = catalogue.failures()
        runs = catalogue.runs()
    done = [model.name for model in models if model.status == "done"]
    pending = sum(model.status == "pending" for model in models)
    return HubProgress(
        mark=mark,
        done=len(done),
        pending=pending,
        failed=len(failures),
        is_adding=bool(runs) and runs[-1].finished is None and pending > 0,
        last_done=tuple(done[-_LAST:]),
        failures=tuple(
            FailedModel(item.name, item.source, item.kind, item.reason)
            for item in failures[-_LAST:]
        ),
    )
