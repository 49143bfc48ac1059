"""A number of models, outputs and probes comes in; what their hub costs goes out."""

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from lagotto.core.errors import LagottoError, UsageError
from lagotto.core.progress import Progress, Silent
from lagotto.core.types import JsonObject
from lagotto.diagnosis.planning.measure import MachineSpeed, measure_machine, measure_search
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import read_hub_manifest

USUAL_GIGA_MULTIPLY_ADDS = 4.1
"""Of a ResNet-50 at 224 x 224; a MobileNetV2 has 0.3, a ViT-B/16 has 17.5."""

_EFFICIENCY = 0.5
"""Of networks, beside one large product of matrices."""

_RESPONSE_BYTES = 1100
_ROW_BYTES, _LABEL_BYTES = 900, 110
_PICTURE_BYTES = 60_000
_PIXEL_BYTES, _PIXEL_FORMS = 224 * 224 * 3, 3
_WORDS_BYTES = 5e6
"""Of a hub without models: the words that every concept is compared with, and small files."""

_ROWS = 50
_BASE_BYTES = 150e6
"""Of a process that searches with a small encoder. benchmarks/speed/plan.py"""

_LOGIT_BYTES = 48
_SURE_S = 10.0
"""Seconds of recorded runs from which they say more than the machine's own speed."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is planned. None: as in the hub, or `outputs` 1,000, `probes` 2,000 and all of them.

    `nodes` are machines like this one, which each add a shard. `giga_multiply_adds` is the work of
    a model for a picture, in 10^9 multiply-adds; it counts where no hub tells how long models take.
    """

    models: int
    outputs: int | None = None
    probes: int | None = None
    probes_per_model: int | None = None
    nodes: int = 1
    giga_multiply_adds: float = USUAL_GIGA_MULTIPLY_ADDS


@dataclass(frozen=True, slots=True)
class HubRecords:
    """What a hub tells: outputs of a model, probes, and how long its models took a picture.

    `image_s` is None where its finished runs took less than ten seconds. `probe_bytes` are those of
    its probes on disk with their pixels, for one of them; None where it has no pixels yet. `search`
    is what a text takes in it: seconds, and bytes of memory; None where it cannot be asked.
    """

    outputs: float
    probes: int
    image_s: float | None
    probe_bytes: float | None = None
    search: tuple[float, int] | None = None


@dataclass(frozen=True, slots=True)
class HubPlan:
    """What a hub costs. Disk and memory are in bytes, `query_*_s` in seconds for a text.

    `measured` is "hub" where the time of a picture is from a hub's records, else "machine".
    `query_memory_s` holds while the descriptors are in memory, `query_disk_s` when they are not.
    `encoder` is whose time and memory a search is counted with: that of the "hub", or the small one
    that is "bundled".
    """

    models: int
    outputs: float
    probes: int
    probes_per_model: int
    nodes: int
    logits: int
    probing_hours: float
    descriptor_hours: float
    responses_bytes: int
    descriptors_bytes: int
    catalogue_bytes: int
    probes_bytes: int
    query_bytes: int
    query_memory_s: float
    query_disk_s: float
    search_memory_bytes: int
    fits_in_memory: bool
    measured: str
    encoder: str
    speed: MachineSpeed

    @property
    def hours(self) -> float:
        """Until the hub answers."""
        return self.probing_hours + self.descriptor_hours

    @property
    def disk_bytes(self) -> int:
        """All of the hub."""
        parts = (self.responses_bytes, self.descriptors_bytes, self.catalogue_bytes)
        return sum(parts) + self.probes_bytes

    def as_json(self) -> JsonObject:
        """The fields by name, with the sums."""
        sums = {"hours": self.hours, "disk_bytes": self.disk_bytes}
        fields: JsonObject = json.loads(json.dumps({**asdict(self), **sums}))
        return fields


def plan_hub(
    request: PlanRequest, hub: Path | str | None = None, progress: Progress | None = None
) -> HubPlan:
    """What a hub of so many models costs on machines like this one.

    Args:
        request: How many models, outputs, probes and machines.
        hub: A hub whose models are like those that are planned: its runs tell how long they take.
        progress: Told of the measurements.

    Raises:
        UsageError: A number is out of range.
        HubError: The hub cannot be read.

    Example:
        >>> plan_hub(PlanRequest(models=1_000_000, outputs=57)).hours  # doctest: +SKIP
        3120.5
    """
    records = None
    if hub is not None:
        records = read_records(Path(hub))
        with suppress(LagottoError):  # one whose encoder is not here tells the rest
            records = replace(records, search=measure_search(Path(hub)))
    return make_plan(request, measure_machine(progress or Silent()), records)


def read_records(folder: Path) -> HubRecords:
    """What a hub tells of its models; raises HubError if it cannot be read."""
    probes = read_hub_manifest(folder).probes
    with Catalog(HubLayout(folder).catalogue) as catalogue:
        models = catalogue.models("done")
        runs = catalogue.runs()
    seconds, done = 0.0, 0
    for run in runs:
        if run.finished is not None and "paths" in run.command and run.done:
            passed = datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)
            seconds, done = seconds + passed.total_seconds(), done + run.done
    outputs = sum(model.outputs for model in models) / max(len(models), 1)
    image_s = seconds / (done * probes) if seconds >= _SURE_S else None
    return HubRecords(outputs, probes, image_s, _probe_bytes(HubLayout(folder), probes))


def _probe_bytes(layout: HubLayout, probes: int) -> float | None:
    if not layout.cache.is_dir():
        return None
    folders = (layout.probes, layout.cache)
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / probes


def make_plan(request: PlanRequest, speed: MachineSpeed, records: HubRecords | None) -> HubPlan:
    """The arithmetic: docs/explanation/million-models.md says it in words."""
    outputs = request.outputs or (records.outputs if records and records.outputs else 1000)
    probes = request.probes or (records.probes if records else 2000)
    seen = request.probes_per_model or probes
    for what, number in (
        ("models", request.models),
        ("outputs", outputs),
        ("probes", probes),
        ("nodes", request.nodes),
    ):
        if not (1 <= number < 1e12):
            raise UsageError(f"{number:,} {what} cannot be planned; give 1 or more")
    if not 2 <= seen <= probes:
        raise UsageError(f"a model cannot see {seen:,} of {probes:,} probes; give 2 to {probes:,}")
    if not 0 <= request.giga_multiply_adds < 1e9:
        raise UsageError(f"{request.giga_multiply_adds} is no number of multiply-adds; e.g. 4.1")
    logits = math.ceil(request.models * outputs)
    if records is not None and records.image_s is not None:
        image_s, model_s, measured = records.image_s, 0.0, "hub"
    else:
        work = request.giga_multiply_adds * 1e9
        image_s = work / (speed.multiply_adds_s * _EFFICIENCY)
        model_s, measured = speed.model_s, "machine"
    probing_s = speed.start_s + request.models / request.nodes * (seen * image_s + model_s)
    descriptors = int(logits * (probes + speed.logit_bytes))
    query_bytes = logits * min(_ROWS, probes)
    query_s, search_bytes = speed.query_s, speed.search_bytes
    probe_bytes: float = _PICTURE_BYTES + _PIXEL_FORMS * _PIXEL_BYTES
    if records is not None:
        query_s, search_bytes = records.search or (query_s, search_bytes)
        probe_bytes = records.probe_bytes or probe_bytes
    return HubPlan(
        models=request.models,
        outputs=float(outputs),
        probes=probes,
        probes_per_model=seen,
        nodes=request.nodes,
        logits=logits,
        probing_hours=probing_s / 3600,
        descriptor_hours=logits * probes * speed.value_s / 3600,
        responses_bytes=int(logits * seen * 4 + request.models * _RESPONSE_BYTES),
        descriptors_bytes=descriptors,
        catalogue_bytes=int(request.models * _ROW_BYTES + logits * _LABEL_BYTES),
        probes_bytes=int(probes * probe_bytes + _WORDS_BYTES),
        query_bytes=query_bytes,
        query_memory_s=query_s + query_bytes / speed.scan_bytes_s,
        query_disk_s=query_s + query_bytes / min(speed.disk_bytes_s, speed.scan_bytes_s),
        search_memory_bytes=int(_BASE_BYTES + search_bytes + logits * _LOGIT_BYTES),
        fits_in_memory=descriptors < speed.memory_bytes * 0.7,
        measured=measured,
        encoder="hub" if records is not None and records.search is not None else "bundled",
        speed=speed,
    )
