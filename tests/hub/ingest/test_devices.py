"""Where a model ran is in the catalogue, and hubs without that are read as before."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from colour_world import World
from command_line import lagotto
from gpu_fakes import CudaOnnxruntime, put_in, write_open_batch
from lagotto.core.progress import Silent
from lagotto.core.types import InputSpec, JsonObject, ModelSource, ModelSpec, PixelSpec
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.input_record import with_device
from lagotto.hub.ingest.worker_tasks import _device_notes, probe_model
from lagotto.hub.probes.fill_cache import prepare_pixels
from lagotto.hub.probes.pixel_cache import ProbeCache
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.jobs.worker_limits import Limits
from lagotto.models.registry import load_model


def probed(hub: Path, file: Path, device: str | None) -> JsonObject:
    """What the task of a worker says, run in this process."""
    probes = ProbeSet.open(hub / "probes")
    cache = ProbeCache(probes.folder, hub / "cache")
    (hub / "cache").mkdir(exist_ok=True)
    spec = load_model(ModelSource("m", file)).spec.input.pixels
    runner = Limits(workers=1).start(hub / "cache")
    try:
        prepare_pixels(runner, probes, hub / "cache", [spec], Silent())
    finally:
        runner.close()
    assert not cache.missing([spec])
    payload: JsonObject = {
        "model": {"name": "m", "file": str(file), "description": {}},
        "inferred_input": None,
        "digest": "0" * 64,
        "probes": str(probes.folder),
        "probe_digest": probes.digest,
        "cache": str(hub / "cache"),
        "out": str(hub / "out.safetensors"),
        "seen": None,
        "earlier": None,
    }
    if device is not None:
        payload["device"] = device
    return probe_model(payload, lambda count: None)


def test_a_worker_says_where_the_model_ran_and_what_went_otherwise(
    empty_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_open_batch(tmp_path / "m.onnx")
    on_cpu = probed(empty_copy, file, None)["spec"]
    assert isinstance(on_cpu, dict)
    assert on_cpu["device"] == "cpu"
    put_in(monkeypatch, CudaOnnxruntime(rows=8))
    on_gpu = probed(empty_copy, file, "cuda")["spec"]
    assert isinstance(on_gpu, dict)
    assert on_gpu["device"] == "cuda:0"
    assert "batches are halved until they fit" in str(on_gpu["notes"])
    put_in(monkeypatch, CudaOnnxruntime(starts=False))
    fallen = probed(empty_copy, file, "auto")["spec"]
    assert isinstance(fallen, dict)
    assert fallen["device"] == "cpu"
    assert "device auto is the CPU here" in str(fallen["notes"])


@pytest.mark.parametrize("said", [None, "cpu", "cuda", "cuda:1234", "cuda:0\n", 7, ["cuda:0"]])
def test_a_record_takes_only_the_name_of_a_gpu(said: object) -> None:
    described: JsonObject = {"layout": "NCHW"}
    assert with_device(described, {"device": said}) == described  # type: ignore[dict-item]
    assert with_device(described, "no record") == described
    assert with_device(described, {"device": "cuda:1"})["device"] == "cuda:1"


def test_status_says_where_a_model_ran(hub_copy: Path) -> None:
    before = lagotto("hub", "status", hub_copy, "--json").json["models"]
    assert {model["device"] for model in before} == {"cpu"}  # written before there were devices
    with sqlite3.connect(hub_copy / "catalogue.sqlite") as catalogue:
        catalogue.execute(
            "UPDATE models SET input = json_set(input, '$.device', 'cuda:1') WHERE name = 'plain'"
        )
    catalogue.close()
    after = {
        m["name"]: m["device"] for m in lagotto("hub", "status", hub_copy, "--json").json["models"]
    }
    assert after.pop("plain") == "cuda:1"
    assert set(after.values()) == {"cpu"}
    table = lagotto("hub", "status", hub_copy).out
    assert "on cuda:1" in table
    assert [item.what for item in Hub.open(hub_copy).verify()] == ["catalogue"]  # not by hub add


def test_a_hub_of_auto_without_a_gpu_is_that_of_the_cpu(
    empty_copy: Path, world: World, tmp_path: Path
) -> None:
    other = shutil.copytree(empty_copy, tmp_path / "other")
    for hub, device in ((empty_copy, "cpu"), (other, "auto")):
        report = Hub.open(hub).add(world.models / "plain", limits=Limits(workers=1, device=device))
        assert report.done == ("plain",)
    assert [(m.name, m.device, m.notes) for m in Hub.open(other).status().models] == [
        (m.name, m.device, m.notes) for m in Hub.open(empty_copy).status().models
    ]
    for part in ("responses", "blocks"):
        for path in (empty_copy / part).iterdir():
            assert (other / part / path.name).read_bytes() == path.read_bytes()


def test_a_model_of_tensorflow_lite_is_run_on_the_cpu_and_says_so() -> None:
    given = InputSpec(PixelSpec(8, 8), "NHWC", "RGB", "float32", "0..1")

    class OnCpu:
        spec = ModelSpec("m", Path("m.tflite"), "tflite", given, 2, "logits", "declared")

        def logits(self, pixels: np.ndarray) -> np.ndarray:
            return np.zeros((len(pixels), 2), np.float32)

    (note,) = _device_notes(OnCpu(), "cuda")
    assert note == "it ran on the CPU: tflite is run on no other device"
    assert _device_notes(OnCpu(), "cpu") == ()
