"""`lagotto classify --hub` and `lagotto eval classification --hub`, in the world of colours."""

import csv
import io
import shutil
from pathlib import Path

import pytest

from colour_world import NAMES, World, build_trained_hub, picture
from command_line import lagotto

LABELS = ",".join(NAMES)


@pytest.fixture(scope="module")
def hub(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_trained_hub(world, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of each colour, in a folder named for it."""
    folder = tmp_path_factory.mktemp("labelled")
    for number, colour in enumerate(4 * NAMES):
        (folder / colour).mkdir(exist_ok=True)
        picture(colour, 7000 + number).save(folder / colour / f"{number:02d}.png")
    return folder


def test_json_tells_who_was_asked_and_why(world: World, hub: Path, labelled: Path) -> None:
    found = lagotto("classify", labelled, "--labels", LABELS, "--encoder", world.encoder,
                    "--hub", hub, "--max-models", "1", "--json")  # fmt: skip
    assert found.code == 0, found.err
    (model,) = found.json["specialists"]
    assert set(model) == {
        "model", "why", "weight", "explains", "named", "names_agree", "knows"
    }  # fmt: skip
    assert [row["label"] for row in model["knows"]] == list(NAMES)
    assert {row["output"] for row in model["knows"]} == set(range(8))
    for row in found.json["images"]:
        assert row["label"] == Path(row["path"]).parent.name
        assert set(row["weights"]) == {"image", "captions", "hub"}
        assert sum(row["weights"].values()) == pytest.approx(1, abs=1e-4)
        (vote,) = row["voices"]
        assert vote["model"] == model["model"]
        assert vote["why"] == model["why"]
        assert sum(vote["probabilities"]) + vote["rest"] == pytest.approx(1, abs=1e-4)
    assert f"{model['model']} is asked: it knows 8 labels" in found.err


def test_a_hub_of_models_that_saw_some_probes(
    world: World, hub: Path, labelled: Path, tmp_path: Path
) -> None:
    partly = tmp_path / "hub"
    shutil.copytree(world.empty_hub, partly)
    added = lagotto("hub", "add", partly, hub.parent / "models", "--probes-per-model", "20")
    assert added.code == 0, added.err
    found = lagotto("classify", labelled, "--labels", LABELS, "--encoder", world.encoder,
                    "--hub", partly, "--behaviour-only", "--json")  # fmt: skip
    assert found.code == 0, found.err
    assert found.json["specialists"]
    for row in found.json["images"]:
        assert row["label"] == Path(row["path"]).parent.name
        assert row["voices"]


def test_csv_table_and_pages(world: World, hub: Path, labelled: Path, tmp_path: Path) -> None:
    common = ("classify", labelled, "--labels", LABELS, "--encoder", world.encoder, "--hub", hub)
    found = lagotto(*common, "--behaviour-only", "--csv", "--explain", tmp_path / "pages")
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert len(rows) == 4 * len(NAMES)
    assert all(Path(row["path"]).parent.name in row["models"] for row in rows)
    assert all(0 < float(row["hub"]) < 1 for row in rows)
    page = (tmp_path / "pages" / "000001.html").read_text()
    assert "knows 8 labels" in page
    assert "models 0." in page
    table = lagotto(*common, "--voices", "image")
    assert "models" not in table.out.splitlines()[0]


def test_eval_scores_every_set_of_voices(world: World, hub: Path, labelled: Path) -> None:
    common = ("eval", "classification", labelled, "--encoder", world.encoder, "--hub", hub)
    found = lagotto(*common, "--json")
    assert found.code == 0, found.err
    voices = found.json["voices"]
    assert [row["voices"] for row in voices["rows"]] == [
        "image", "image+hub", "best single found model", "oracle choice of voice"
    ]  # fmt: skip
    assert all(row["acc1"] == 1.0 for row in voices["rows"])
    assert voices["specialists"]
    assert "oracle choice of voice" in lagotto(*common).out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--hub", "nowhere"], 1, ["nowhere"]),
        (["--voices", "hub"], 2, ["needs a hub"]),
        (["--voices", "imaeg"], 2, ["Did you mean 'image'"]),
        (["--voices", ","], 2, ["no voices"]),
    ],
)
def test_wrong_calls(
    world: World, labelled: Path, words: list[str], code: int, said: list[str]
) -> None:
    lagotto("classify", labelled, "--labels", LABELS, "--encoder", world.encoder, *words).refused(
        code, *said
    )
