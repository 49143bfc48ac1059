"""Files and folders come in; what the models there are goes out, with a hub or without."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_paths
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.hub.ingest.inspect import Inspection, inspect_models
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.file_count import FileCount
from lagotto.models.metadata.scan import scan_paths
from lagotto.models.metadata.unread.recognition import UnreadFile


@dataclass(frozen=True, slots=True)
class InspectReport:
    """What some files are: models, models of forms that are not read, and a count of the rest.

    Iterating over it, and its length, are those of its models.
    """

    models: tuple[Inspection, ...]
    not_read: tuple[UnreadFile, ...]
    files: FileCount

    def __iter__(self) -> Iterator[Inspection]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, index: int) -> Inspection:
        return self.models[index]

    @property
    def is_failure(self) -> bool:
        """True if no model can be run."""
        return all(item.failure for item in self.models)

    def as_json(self) -> JsonObject:
        """The fields by name, tuples as lists."""
        fields: JsonObject = json.loads(json.dumps({**asdict(self), "files": self.files.as_json()}))
        return fields


def inspect(
    models: OnePathOrMany, *, limits: Limits | None = None, progress: Progress | None = None
) -> InspectReport:
    """Tells what model files are, and how they would be fed and read, without a hub.

    Each is opened in a worker process that is cut off, as by `Hub.add`. Without a hub there are no
    probes: parts of an input that neither the file nor what lies beside it declares stay "assumed";
    `Hub.inspect` tries them on the probes of a hub.

    Args:
        models: One or many: model files, and folders that are scanned.
        limits: Of the worker processes.
        progress: Told of the work.

    Returns:
        The models in the order of the scan, those of a form that is not read with a way to read
        them, and a count of all files.

    Raises:
        UsageError: If a path is missing, or is a file that is surely no model.

    Example:
        >>> lagotto.inspect("best.onnx").models[0].outputs  # doctest: +SKIP
        10
    """
    paths = as_paths(models, "models")
    return inspect_paths(paths, None, limits or Limits(), progress or Silent())


def inspect_paths(
    paths: tuple[Path, ...], probe_set: ProbeSet | None, limits: Limits, progress: Progress
) -> InspectReport:
    """Tells what the model files at some paths are.

    Args:
        paths: Model files, and folders that are scanned.
        probe_set: Pictures on which models are tried. None, without a hub: what is not declared
            stays as assumed, and paths without a model are no error.
        limits: Of the worker processes.
        progress: Told of the work.

    Raises:
        UsageError: A path is missing, or is surely no model; or there is a hub, and it holds none.
    """
    found = scan_paths(paths, must_find=probe_set is not None)
    inspections: tuple[Inspection, ...] = ()
    if found.models:
        inspections = inspect_models(probe_set, found.models, limits, progress)
    return InspectReport(inspections, found.not_read, found.files)
