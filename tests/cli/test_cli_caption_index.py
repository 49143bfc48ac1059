"""`lagotto captions index` and `lagotto classify --approximate`."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from colour_world import NAMES, World
from command_line import lagotto

pytestmark = pytest.mark.skipif(
    find_spec("usearch") is None, reason="the package usearch is not installed"
)


def test_index_then_classify(world: World, tmp_path: Path) -> None:
    lines = [
        json.dumps({"image": str(file), "caption": f"a photo of {file.stem.split('_')[1]}"})
        for file in sorted(world.pictures.glob("0*.png"))
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    store = tmp_path / "store"
    made = lagotto("captions", "create", store, "--pairs", tmp_path / "pairs.jsonl",
                   "--encoder", world.encoder, "--quiet")  # fmt: skip
    assert made.code == 0, made
    file = next(world.pictures.glob("*red.png"))
    classify = ("classify", file, "--labels", ",".join(NAMES), "--encoder", world.encoder)
    asked = (*classify, "--captions", store, "--mode", "paper", "--approximate", "--json")
    lagotto(*asked).refused(1, "no approximate index", f"run: lagotto captions index {store}")
    lagotto(*classify, "--approximate").refused(2, "needs a caption store")

    shown = lagotto("captions", "index", store)
    assert shown.code == 0, shown
    first, second = shown.out.splitlines()
    assert first.startswith(f"{len(lines)} pictures, recall@200 ")
    assert second == "0 captions without a picture"
    again = lagotto("captions", "index", store)
    assert "the store has not changed since" in again.err
    found = lagotto("captions", "index", store, "--json", "--quiet").json
    assert set(found) == {"built", "store", "adapter", "pictures", "captions"}
    assert not found["built"]
    assert found["pictures"]["recall"]["share"] >= 0.95

    approximate = lagotto(*asked)
    assert approximate.code == 0, approximate
    assert "note: approximate search: " in approximate.err
    (row,) = approximate.json["images"]
    assert row["label"] == "red"
    exact = lagotto(*asked[:-2], "--json").json["images"][0]
    assert row["probabilities"] == pytest.approx(exact["probabilities"], abs=1e-4)

    (tmp_path / "more.txt").write_text("something blue")
    assert lagotto("captions", "add", store, "--pairs", tmp_path / "more.txt", "--quiet").code == 0
    lagotto(*asked).refused(1, "another state of the store", "run: lagotto captions index")
    assert lagotto("captions", "index", store, "--json", "--quiet").json["built"]
    assert lagotto(*asked).code == 0
