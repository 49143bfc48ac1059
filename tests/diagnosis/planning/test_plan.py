"""What a hub would cost: the arithmetic, and a prediction against a hub that was made."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import lagotto
from lagotto.core.errors import UsageError
from lagotto.core.progress import Silent
from lagotto.demo import bundled
from lagotto.diagnosis.planning.measure import MachineSpeed, measure_machine, measure_search
from lagotto.diagnosis.planning.plan import HubRecords, PlanRequest, make_plan, read_records
from lagotto.hub.hub import Hub
from lagotto.hub.store.catalog import Catalog

SPEED = MachineSpeed(
    cores=4,
    multiply_adds_s=82e9,
    start_s=2.0,
    model_s=0.1,
    value_s=1e-8,
    logit_bytes=100.0,
    scan_bytes_s=2e9,
    disk_bytes_s=1e9,
    memory_bytes=16 << 30,
    kernel="numpy",
)
MILLION = PlanRequest(1_000_000, 57, 2000)


def test_a_million_models_by_hand() -> None:
    plan = make_plan(MILLION, SPEED, None)
    assert plan.logits == 57_000_000
    assert plan.query_bytes == 57_000_000 * 50
    assert plan.descriptors_bytes == 57_000_000 * 2100
    assert plan.responses_bytes == pytest.approx(57e6 * 2000 * 4, rel=0.01)
    assert plan.probing_hours == pytest.approx(1e6 * (2000 * 0.1 + 0.1) / 3600, rel=1e-3)
    assert plan.descriptor_hours == pytest.approx(57e6 * 2000 * 1e-8 / 3600)
    assert (plan.query_memory_s, plan.query_disk_s) == (1.425, 2.85)
    assert (plan.fits_in_memory, plan.measured) == (False, "machine")


def test_a_small_hub_costs_what_its_encoder_and_pictures_do() -> None:
    """In a hub of few logits the scan is nothing: the encoder is all of a query."""
    slow = replace(SPEED, query_s=0.02, search_bytes=30_000_000)
    small = make_plan(PlanRequest(50, 20, 300), slow, None)
    assert small.query_memory_s == pytest.approx(0.02, rel=0.01)
    assert small.query_disk_s == pytest.approx(0.02, rel=0.01)
    assert small.search_memory_bytes == pytest.approx(180e6, rel=0.01)
    assert small.encoder == "bundled"
    own = HubRecords(20.0, 300, None, probe_bytes=10_000.0, search=(0.5, 900_000_000))
    known = make_plan(PlanRequest(50), slow, own)
    assert known.query_memory_s == pytest.approx(0.5, rel=0.01)
    assert known.search_memory_bytes == pytest.approx(1050e6, rel=0.01)
    assert known.probes_bytes == 300 * 10_000 + 5_000_000
    assert known.encoder == "hub"
    assert small.probes_bytes > 30 * known.probes_bytes / 2


def test_nodes_and_a_share_of_the_probes_divide_the_probing() -> None:
    whole = make_plan(MILLION, SPEED, None)
    nodes = make_plan(replace(MILLION, nodes=64), SPEED, None)
    share = make_plan(replace(MILLION, probes_per_model=200), SPEED, None)
    assert nodes.probing_hours == pytest.approx(whole.probing_hours / 64, rel=1e-3)
    assert share.probing_hours == pytest.approx(whole.probing_hours / 10, rel=0.01)
    assert share.responses_bytes < whole.responses_bytes / 9
    assert nodes.descriptor_hours == share.descriptor_hours == whole.descriptor_hours


def test_a_hub_tells_how_long_its_models_take() -> None:
    plan = make_plan(PlanRequest(1000), SPEED, HubRecords(20.0, 640, 0.01))
    assert (plan.outputs, plan.probes, plan.measured) == (20.0, 640, "hub")
    assert plan.probing_hours == pytest.approx((2 + 1000 * 640 * 0.01) / 3600)
    assert make_plan(PlanRequest(9), SPEED, HubRecords(20.0, 640, None)).measured == "machine"


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (PlanRequest(0), "models"),
        (PlanRequest(5, nodes=0), "nodes"),
        (PlanRequest(5, probes=10, probes_per_model=11), "probes"),
        (PlanRequest(5, giga_multiply_adds=-1.0), "multiply-adds"),
    ],
)
def test_impossible_plans_are_refused(request_: PlanRequest, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        make_plan(request_, SPEED, None)


def test_the_records_of_a_hub(tmp_path: Path) -> None:
    hub = Hub.create(tmp_path / "hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=20)
    assert read_records(hub.folder) == HubRecords(0.0, 20, None)
    with Catalog(hub.folder / "catalogue.sqlite", writable=True) as catalogue:
        for command, minutes in (({"paths": ["m"]}, 2), ({"merge": ["p"]}, 30)):
            run = catalogue.start_run(command, "2026-01-01T00:00:00+00:00")  # type: ignore[arg-type]
            catalogue.finish_run(run, f"2026-01-01T00:{minutes:02}:00+00:00", 10, 0, 0)
        catalogue.start_run({"paths": ["cut off"]}, "2026-01-01T00:00:00+00:00")
    records = read_records(hub.folder)
    assert records.image_s == 120 / (10 * 20)
    assert records.probe_bytes is None  # no model has seen them: their pixels are still to come
    (hub.folder / "cache").mkdir()
    (hub.folder / "cache" / "pixels").write_bytes(bytes(20_000))
    held = sum(p.stat().st_size for p in (hub.folder / "probes").rglob("*") if p.is_file())
    assert read_records(hub.folder).probe_bytes == (held + 20_000) / 20
    assert measure_search(hub.folder) == (0.0, 0)  # nothing is there to be found
    hub.add([path for path in sorted(bundled.MODELS.iterdir()) if path.is_dir()][:1])
    assert 1e-4 < measure_search(hub.folder)[0] < 5


@pytest.mark.thorough
def test_a_prediction_is_near_a_small_hub_that_was_made(tmp_path: Path) -> None:
    speed = measure_machine(Silent())
    hub = Hub.create(tmp_path / "hub", bundled.PROBES, str(bundled.DEMO_ENCODER), max_probes=60)
    names = sorted(path for path in bundled.MODELS.iterdir() if path.is_dir())[13:19]
    begin = time.perf_counter()
    report = hub.add(names)
    spent = time.perf_counter() - begin
    outputs = sum(len(hub.labels(name)) for name in report.done)
    request = PlanRequest(len(names), outputs // len(names), 60, giga_multiply_adds=0.001)
    plan = make_plan(request, speed, None)
    assert spent / 20 < plan.hours * 3600 < 20 * spent  # the clock of a machine that is shared
    for folder, planned in (
        ("responses", plan.responses_bytes),
        ("blocks", plan.descriptors_bytes),
    ):
        held = sum(path.stat().st_size for path in (hub.folder / folder).iterdir())
        assert planned / 3 < held < 3 * planned, folder
    shutil.rmtree(hub.folder)


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lagotto.diagnosis.planning.plan.measure_machine", lambda _: SPEED)
    words = ("hub", "plan", "--models", "1e6", "--outputs", "57", "--probes", "2000")
    answer = lagotto(*words, "--nodes", "64", "--json").json
    assert (answer["hub"], answer["logits"], answer["nodes"]) == (None, 57_000_000, 64)
    assert answer["hours"] == answer["probing_hours"] + answer["descriptor_hours"]
    text = lagotto(*words).out
    assert "57,000,000 logits" in text
    assert "2.9 GB of the descriptors (more than the memory here)" in text
    lagotto("hub", "plan", "--models", "many").refused(2, "'many' is no number of models")
    lagotto("hub", "plan", "--models", "1.5").refused(2, "no number of models")
    lagotto("hub", "plan", tmp_path, "--models", "5").refused(1, "hub")
