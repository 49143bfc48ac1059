"""The probe cache: equal to decoding directly, rebuilt after a kill, of one probe set only."""

import io
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lagotto.core.errors import HubError, ProbeError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import PixelSpec
from lagotto.hub.probes.fill_cache import find_refusal
from lagotto.hub.probes.pixel_cache import (
    ProbeCache,
    fill_cache,
    spec_from_json,
    spec_to_json,
)
from lagotto.hub.probes.probe_set import ProbeSet

SPECS = [
    PixelSpec(24, 24),
    PixelSpec(24, 24, crop_fraction=0.875, resample="bicubic"),
    PixelSpec(16, 20, grey=True, resize="stretch"),
    PixelSpec(9, 9, resample="nearest"),
]


def make_set(folder: Path, seed: int = 0, count: int = 7) -> ProbeSet:
    """A probe set of noisy JPEG and PNG pictures of varied sizes."""
    rng = np.random.default_rng(seed)
    photos = folder / f"photos{seed}"
    photos.mkdir()
    for number in range(count):
        height, width = rng.integers(10, 60, 2)
        values = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(values).save(photos / f"{number}.{'jpg' if number % 2 else 'png'}")
    return ProbeSet.create(folder / f"set{seed}", [photos])[0]


@pytest.fixture
def probe_set(tmp_path: Path) -> ProbeSet:
    return make_set(tmp_path)


@pytest.fixture
def cache(probe_set: ProbeSet, tmp_path: Path) -> ProbeCache:
    return ProbeCache(probe_set.folder, tmp_path / "cache")


def build(cache: ProbeCache, specs: Sequence[PixelSpec], count: int = 7) -> None:
    cache.allocate(specs)
    cache.fill(specs, 0, count)
    cache.finish(specs)


def check(cache: ProbeCache, probe_set: ProbeSet, specs: Sequence[PixelSpec]) -> None:
    """The cache is what decoding each probe directly gives."""
    for spec in specs:
        pixels = cache.open(spec)
        assert pixels.shape == (len(probe_set.probes), *spec.shape)
        for index in range(len(probe_set.probes)):
            expected = to_pixels(decode_picture(probe_set.picture(index)), spec)
            assert np.array_equal(pixels[index], expected)


def test_each_probe_is_as_decoded_directly(cache: ProbeCache, probe_set: ProbeSet) -> None:
    assert cache.missing([*SPECS, SPECS[0]]) == SPECS
    build(cache, SPECS)
    assert cache.missing(SPECS) == []
    check(cache, probe_set, SPECS)
    pixels = cache.open(SPECS[0])
    assert not pixels.flags.writeable
    assert isinstance(pixels, np.memmap)


def test_ranges_filled_by_tasks_in_any_order(
    cache: ProbeCache, probe_set: ProbeSet, tmp_path: Path
) -> None:
    cache.allocate(SPECS)
    done: list[int] = []
    for start, stop in ((4, 99), (0, 2), (2, 4)):
        payload = {
            "probes": str(probe_set.folder),
            "cache": str(tmp_path / "cache"),
            "specs": [spec_to_json(spec) for spec in SPECS],
            "start": start,
            "stop": stop,
        }
        assert fill_cache(json.loads(json.dumps(payload)), done.append) == {
            "start": start,
            "stop": stop,
        }
    cache.finish(SPECS)
    assert sum(done) == 7
    check(cache, probe_set, SPECS)


def test_what_a_kill_leaves_is_rebuilt(
    cache: ProbeCache, probe_set: ProbeSet, tmp_path: Path
) -> None:
    build(cache, SPECS[:1])
    finished = cache.path(SPECS[0]).read_bytes()
    cache.allocate(SPECS[1:])
    cache.fill(SPECS[1:3], 0, 3)
    (tmp_path / "cache" / ".cache.json.1-1.tmp").write_bytes(b"half")
    again = ProbeCache(probe_set.folder, tmp_path / "cache")
    assert again.missing(SPECS) == SPECS[1:]
    build(again, again.missing(SPECS))
    check(again, probe_set, SPECS)
    assert again.path(SPECS[0]).read_bytes() == finished
    assert not list((tmp_path / "cache").glob("*.partial.npy"))


def test_a_worker_of_a_killed_run_cannot_spoil_the_next(
    cache: ProbeCache, probe_set: ProbeSet, tmp_path: Path
) -> None:
    cache.allocate(SPECS[:1])
    with (tmp_path / "cache" / f"{SPECS[0].key}.partial.npy").open("r+b") as old:
        build(cache, SPECS[:1])
        os.pwrite(old.fileno(), bytes(500), 200)
    check(cache, probe_set, SPECS[:1])


@pytest.mark.parametrize("damage", ["cut", "header", "empty", "dtype", "shape", "gone"])
def test_a_damaged_array_counts_as_missing(
    cache: ProbeCache, probe_set: ProbeSet, damage: str
) -> None:
    build(cache, SPECS[:2])
    path = cache.path(SPECS[0])
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "dtype":
        np.save(path, np.zeros((7, 24, 24, 3), np.int8))
    elif damage == "shape":
        np.save(path, np.zeros((8, 24, 24, 3), np.uint8))
    else:
        damaged = {"cut": data[:-1], "header": b"x" + data[1:], "empty": b""}
        path.write_bytes(damaged[damage])
    with pytest.raises(HubError, match="made anew by: lagotto hub add"):
        cache.open(SPECS[0])
    assert cache.missing(SPECS[:2]) == SPECS[:1]
    build(cache, SPECS[:1])
    check(cache, probe_set, SPECS[:2])


def test_a_cache_of_another_probe_set_is_refused_then_replaced(
    cache: ProbeCache, tmp_path: Path
) -> None:
    build(cache, SPECS[:2])
    other_set = make_set(tmp_path, seed=1)
    other = ProbeCache(other_set.folder, tmp_path / "cache")
    assert other.missing(SPECS[:2]) == SPECS[:2]
    with pytest.raises(HubError, match="not of this probe set"):
        other.open(SPECS[0])
    build(other, SPECS[:1])
    check(other, other_set, SPECS[:1])
    assert other.missing(SPECS[:2]) == SPECS[1:2]


def test_filling_what_was_not_allocated(cache: ProbeCache, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="cannot write"):
        cache.fill(SPECS[:1], 0, 7)
    cache.allocate(SPECS[:2])
    partial = tmp_path / "cache" / f"{SPECS[0].key}.partial.npy"
    np.save(partial, np.zeros((2, 24, 24, 3), np.uint8))
    with pytest.raises(HubError, match="is not of this probe set"):
        cache.fill(SPECS[:1], 0, 7)
    partial.write_bytes(b"nothing")
    with pytest.raises(HubError, match="is damaged"):
        cache.fill(SPECS[:1], 0, 7)


def test_a_probe_altered_on_disk_is_not_cached(cache: ProbeCache, probe_set: ProbeSet) -> None:
    file = io.BytesIO()
    Image.new("RGB", (20, 20)).save(file, "PNG")
    digest = probe_set.probes[3].digest
    (probe_set.folder / "pictures" / digest[:2] / digest).write_bytes(file.getvalue())
    cache.allocate(SPECS)
    with pytest.raises(HubError, match=r"probe 3 .* was altered"):
        cache.fill(SPECS, 0, 7)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="disk space is not reserved here")
def test_a_file_too_large_for_the_disk_is_one_line(probe_set: ProbeSet, tmp_path: Path) -> None:
    cache = ProbeCache(probe_set.folder, tmp_path / "cache")
    with pytest.raises(HubError, match=r"cannot write .*; free space or"):
        cache.allocate([PixelSpec(2**21, 2**21)])


@given(
    st.builds(
        PixelSpec,
        height=st.integers(1, 999),
        width=st.integers(1, 999),
        grey=st.booleans(),
        resize=st.sampled_from(["crop", "stretch"]),
        crop_fraction=st.sampled_from([1.0, 0.875, 0.95]),
        resample=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    )
)
def test_a_spec_survives_json(spec: PixelSpec) -> None:
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


@pytest.mark.parametrize(
    "change", [{"height": 0}, {"width": "9"}, {"grey": 1}, {"resize": "fit"}, {"resample": None}]
)
def test_a_bad_spec_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProbeError, match="not a pixel spec"):
        spec_from_json({**spec_to_json(SPECS[0]), **change})


def test_a_bad_task_is_refused() -> None:
    with pytest.raises(ProbeError, match="not a task"):
        fill_cache({"probes": "a"}, lambda _: None)


def test_an_input_that_takes_a_whole_disk_or_memory_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "not" / "there"
    assert find_refusal(PixelSpec(224, 224), 2000, folder, 0) == ""
    assert find_refusal(PixelSpec(224, 224, crop_fraction=0.05), 2000, folder, 0) == ""
    before_crop = find_refusal(PixelSpec(4096, 4096, crop_fraction=0.05), 10, folder, 0)
    assert "81,920 x 81,920 pixels before they are cropped" in before_crop
    usage = shutil.disk_usage(tmp_path)._replace(free=60 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert find_refusal(PixelSpec(4096, 4096), 1000, folder, 0) == ""
    assert "take 100.7 GB of disk" in find_refusal(PixelSpec(4096, 4096), 2000, folder, 0)
    assert "GB are free" in find_refusal(PixelSpec(4096, 4096), 1000, folder, 40 << 30)
    none = usage._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: none)
    assert find_refusal(PixelSpec(64, 64), 1000, folder, 0) == ""  # a full disk is no model's fault
