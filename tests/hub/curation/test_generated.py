"""Probe sets that a text-to-image pipeline draws: seeded, in a worker, and nothing foreign runs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from command_line import lagotto
from lagotto.core.errors import MissingExtraError, ProbeError, UsageError
from lagotto.core.images import decode_picture
from lagotto.core.types import JsonObject
from lagotto.encoders.background.words import background_words
from lagotto.hub.curation import generated
from lagotto.hub.curation.generated import check_pipeline, noun_texts
from lagotto.hub.curation.make import SetOptions, make_probes

INDEX = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}


def pipeline(folder: Path, index: dict[str, object] | None = None) -> Path:
    """A folder that looks like a pipeline; nothing can be drawn with it."""
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(index or INDEX))
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no tensors")
    return folder


def test_each_noun_has_one_picture_before_any_has_two() -> None:
    words = background_words()
    texts = noun_texts(len(words) + 5, 3)
    assert len(set(texts)) == len(words)
    assert texts[len(words) :] == texts[:5]
    assert texts[:9] != noun_texts(9, 4)
    assert texts[:9] == noun_texts(9, 3)


def test_pipelines_that_would_need_a_pickle_or_foreign_code_are_refused(tmp_path: Path) -> None:
    check_pipeline(pipeline(tmp_path / "good"))
    with pytest.raises(UsageError, match=r"no text-to-image pipeline: no model_index\.json"):
        check_pipeline(tmp_path)
    foreign = {**INDEX, "unet": ["mine", "Network"]}
    with pytest.raises(UsageError, match="names 'mine', which is no part of diffusers"):
        check_pipeline(pipeline(tmp_path / "foreign", foreign))
    own = {**INDEX, "_class_name": ["pipeline.py", "Mine"]}
    with pytest.raises(UsageError, match="code of a repository is not run"):
        check_pipeline(pipeline(tmp_path / "own", own))
    code = pipeline(tmp_path / "code")
    (code / "unet" / "network.py").write_text("raise SystemExit")
    with pytest.raises(UsageError, match="brings code of its own"):
        check_pipeline(code)
    pickled = pipeline(tmp_path / "pickled")
    weights = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(UsageError, match=r"'unet' in .* are pickled .*safe_serialization=True"):
        check_pipeline(pickled)


def test_without_diffusers_the_line_to_install_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lagotto\[diffusers\]'"):
        make_probes(tmp_path / "set", "diffusers:x", 2, options=SetOptions(accept=True))


def test_what_is_asked_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "find_spec", lambda name: object())
    with pytest.raises(UsageError, match=r"no licence is stated for pictures of diffusers:x"):
        make_probes(tmp_path / "set", "diffusers:x", 2)
    options = SetOptions(accept=True)
    with pytest.raises(UsageError, match="not pinned; give a commit"):
        make_probes(tmp_path / "set", "diffusers:hf:org/name", 2, options=options)
    with pytest.raises(UsageError, match="give it alone"):
        make_probes(tmp_path / "set", ["diffusers:x", str(tmp_path)], 2, options=options)


def _draw_colour(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """As `diffusers.draw_text`; what a text begins to say of its noun decides what is unsafe."""
    text = str(payload["text"])
    colour = (len(text) * 9 % 256, int(str(payload["seed"])) % 256, 80)
    Image.new("RGB", (16, 16), colour).save(str(payload["out"]), "PNG")
    return {"unsafe": str(payload["folder"]).endswith("strict") or text in noun_texts(2, 5)}


def test_what_the_pipeline_calls_unsafe_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated, "find_spec", lambda name: object())
    monkeypatch.setattr(generated, "_ENTRY", f"{__name__}:_draw_colour")
    checked = {**INDEX, "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    folder = pipeline(tmp_path / "checked", checked)
    out = tmp_path / "set"
    make = ("probes", "make", out, "--from", f"diffusers:{folder}", "--size", "6", "--seed", "5")
    told = lagotto(*make, "--licence", "CC0-1.0")
    assert "4 pictures chosen of 6" in told.out
    assert "left out as unsafe: 2" in told.out
    assert "licence CC0-1.0: 4" in told.out
    assert "the pipeline's own safety checker alone looked at the pictures" in told.err
    rows = pq.read_table(out / "set.parquet").to_pylist()
    assert [row["caption"] for row in rows] == [[text] for text in noun_texts(6, 5)[2:]]
    report = json.loads((out / "report.json").read_text())
    assert (report["probes"], report["left_out"]) == (4, {"unsafe": 2})
    options = SetOptions(seed=3, accept=True)
    plain = pipeline(tmp_path / "plain", {**INDEX, "safety_checker": [None, None]})
    without = make_probes(tmp_path / "without", f"diffusers:{plain}", 2, options=options)
    assert (without.probes, without.left_out) == (2, {})
    strict = pipeline(tmp_path / "strict", checked)
    with pytest.raises(ProbeError, match=r"of 4 pictures 0 are left: .* calls the others unsafe"):
        make_probes(tmp_path / "none", f"diffusers:{strict}", 4, options=options)
    assert not (tmp_path / "none").exists()


def test_a_safety_checker_of_diffusers_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("diffusers")
    monkeypatch.setattr(generated, "usable_cores", lambda: 1)
    from pipeline_makers import write_tiny_pipeline

    folder = write_tiny_pipeline(tmp_path / "tiny", strict=True)
    with pytest.raises(ProbeError, match="of 2 pictures 0 are left"):
        make_probes(tmp_path / "x", f"diffusers:{folder}", 2, options=SetOptions(accept=True))


def test_a_pipeline_draws_in_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("diffusers")
    monkeypatch.setattr(generated, "usable_cores", lambda: 1)
    from pipeline_makers import write_tiny_pipeline

    folder = write_tiny_pipeline(tmp_path / "tiny")
    out = tmp_path / "set"
    make = ("probes", "make", out, "--from", f"diffusers:{folder}", "--size", "3", "--seed", "5")
    made = lagotto(*make, "--licence", "CC0-1.0", "--json")
    assert made.json["licences"] == {"CC0-1.0": 3}
    rows = pq.read_table(out / "set.parquet").to_pylist()
    assert [row["caption"] for row in rows] == [[text] for text in noun_texts(3, 5)]
    assert {(row["source"], row["licence"]) for row in rows} == {("diffusers:tiny", "CC0-1.0")}
    assert {decode_picture(row["image"]).size for row in rows} == {(16, 16)}
    assert len({np.asarray(decode_picture(row["image"])).tobytes() for row in rows}) == 3
    again = make_probes(
        tmp_path / "again" / "set",
        f"diffusers:{folder}",
        3,
        options=SetOptions(seed=5, accept=True),
    )
    assert again.licences == {"not stated": 3}
    same = pq.read_table(tmp_path / "again" / "set" / "set.parquet").to_pylist()
    assert [row["image"] for row in same] == [row["image"] for row in rows]
    broken = pipeline(tmp_path / "broken")
    with pytest.raises(ProbeError, match="diffusers:broken draws no picture"):
        make_probes(tmp_path / "x", f"diffusers:{broken}", 2, options=SetOptions(accept=True))
    assert not (tmp_path / "x").exists()
