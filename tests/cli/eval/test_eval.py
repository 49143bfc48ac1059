"""`lagotto eval classification`: its table, its JSON, and what it refuses."""

import json
import tarfile
from pathlib import Path

import pytest

import labelled_makers as make
from caption_makers import add_member
from colour_world import World
from command_line import Answer, lagotto, lagotto_process

EVAL = ("eval", "classification")


@pytest.fixture(scope="module")
def store(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the world's pictures with captions that name their colour."""
    folder = tmp_path_factory.mktemp("eval")
    rows = [
        {"image": str(path), "captions": [f"a {colour}", f"photo of {colour}"]}
        for path in sorted(world.pictures.glob("0*.png"))
        for colour in [path.stem.partition("_")[2]]
    ]
    (folder / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    pairs = ("--pairs", folder / "captions.jsonl", "--encoder", world.encoder)
    assert lagotto("captions", "create", folder / "store", *pairs).code == 0
    return folder / "store"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make.write_jsonl(tmp_path_factory.mktemp("labelled") / "photos", each=3).parent


def run(world: World, *words: str | Path) -> Answer:
    return lagotto(*EVAL, *words, "--encoder", world.encoder)


def test_image_only_without_a_store(world: World, photos: Path) -> None:
    found = run(world, photos, "--json").json
    assert (found["dataset"], found["model"]) == ("photos", "encoder")
    assert found["metrics"] == {"acc1": 1.0, "acc5": 1.0, "mean_per_class_recall": 1.0}
    assert [(row["mode"], row["k"]) for row in found["rows"]] == [("image-only", 0)]
    assert found["method"]["store"] is None
    assert found["method"]["templates"] == ["a photo of a {}."]


def test_modes_and_k_are_swept_and_image_only_is_always_there(
    world: World, photos: Path, store: Path
) -> None:
    words = (photos, "--captions", store, "--modes", "paper,captions-only", "--k", "2, 4")
    found = run(world, *words, "--json").json
    assert [(row["mode"], row["k"]) for row in found["rows"]] == [
        ("image-only", 0),
        ("paper", 2),
        ("paper", 4),
        ("captions-only", 2),
        ("captions-only", 4),
    ]
    assert found["method"]["mode"] == "paper"
    assert (found["method"]["store"]["pictures"], found["method"]["samples"]) == (72, 9)
    table = run(world, *words).out.splitlines()
    assert table[0] == "photos: 9 pictures, 3 labels, 0 unreadable (counted as wrong)"
    assert [line.split()[:2] for line in table[2:]] == [
        ["image-only", "-"],
        ["paper", "2"],
        ["paper", "4"],
        ["captions-only", "2"],
        ["captions-only", "4"],
    ]
    assert "to image-only" in table[1]


def test_the_default_mode_is_guarded(world: World, photos: Path, store: Path) -> None:
    found = run(world, photos, "--captions", store, "--json").json
    assert (found["method"]["mode"], found["method"]["k"]) == ("guarded", 16)


@pytest.mark.parametrize("form", ["folder", "jsonl", "webdataset", "shards"])
def test_every_form_gives_the_same_accuracy(world: World, tmp_path: Path, form: str) -> None:
    data = {
        "folder": lambda: [make.write_folder(tmp_path / "data")],
        "jsonl": lambda: [make.write_jsonl(tmp_path / "data")],
        "webdataset": lambda: [make.write_clip_benchmark(tmp_path / "data")],
        "shards": lambda: sorted(make.write_clip_benchmark(tmp_path / "data").glob("*/*.tar")),
    }[form]()
    found = run(world, *data, "--labels", "red,green,blue", "--json").json
    assert (found["method"]["samples"], found["metrics"]["acc1"]) == (6, 1.0)
    assert [row["label"] for row in found["per_class"]] == ["red", "green", "blue"]


def test_unreadable_pictures_count_as_wrong_and_the_exit_code_says_so(
    world: World, tmp_path: Path
) -> None:
    file = make.write_jsonl(tmp_path / "photos")
    (file.parent / "images" / "0-red.png").write_bytes(make.broken("PNG"))
    answer = run(world, file, "--json")
    assert answer.code == 1
    found = json.loads(answer.out)
    assert found["metrics"]["acc1"] == pytest.approx(5 / 6, abs=1e-6)
    assert (found["method"]["unreadable"], found["method"]["unreadable_count_as"]) == (1, "wrong")
    assert found["set_aside"][0]["source"] == "images/0-red.png"
    assert "1 pictures cannot be read:\n  images/0-red.png: not a picture" in answer.err


def test_a_results_file_is_written_once_and_never_overwritten(
    world: World, photos: Path, tmp_path: Path
) -> None:
    file = tmp_path / "results.json"
    first = run(world, photos, "--out", file)
    assert first.code == 0
    assert f"results: {file}" in first.err
    before = file.read_bytes()
    assert json.loads(before) == run(world, photos, "--json").json
    run(world, photos, "--out", file).refused(2, str(file), "exists already", "another name")
    assert file.read_bytes() == before
    run(world, photos, "--out", tmp_path / "no" / "a.json").refused(2, "no folder")
    before_the_work = run(world, tmp_path / "no-data", "--out", file)
    before_the_work.refused(2, "exists already")


def test_the_default_templates_may_be_replaced(world: World, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "templates.txt"
    file.write_text("a {}\nphoto of {}\n")
    found = run(world, photos, "--templates", file, "--json").json
    assert found["method"]["templates"] == ["a {}", "photo of {}"]


def test_the_recipe_of_the_docs_on_stand_ins(world: World, tmp_path: Path) -> None:
    data = make.write_clip_benchmark(tmp_path / "wds_colours")
    templates = data / "templates.txt"
    said = (data / "zeroshot_classification_templates.txt").read_text()
    templates.write_text(said.replace("{c}", "{}"))
    tars, store = tmp_path / "cc" / "00000.tar", tmp_path / "store"
    tars.parent.mkdir()
    with tarfile.open(tars, "w") as archive:
        for number, colour in enumerate(make.COLOURS * 4):
            picture = make.file_bytes(colour, 100 + number, "JPEG")
            add_member(archive, f"{number:09d}.jpg", picture)
            add_member(archive, f"{number:09d}.txt", f"a {colour}".encode())
            add_member(archive, f"{number:09d}.json", json.dumps({"url": "x"}).encode())
    made = lagotto("captions", "create", store, "--pairs", tars.parent, "--encoder", world.encoder)
    assert made.code == 0, made
    words = ("--modes", "paper,paper-code,captions-only,guarded", "--k", "2,4,8,16,32,64")
    out = tmp_path / "results.json"
    done = run(world, data, "--captions", store, *words, "--templates", templates, "--out", out)
    assert done.code == 0, done
    found = json.loads(out.read_text())
    assert len(found["rows"]) == 1 + 4 * 6
    assert found["method"]["templates"] == ["a photo of {}."]
    assert found["rows"][0]["metrics"]["acc1"] == 1.0


def test_what_cannot_be_is_said_in_one_line(
    world: World, photos: Path, store: Path, tmp_path: Path
) -> None:
    run(world, photos, "--modes", "paper").refused(2, "needs captions")
    with_store = ("--captions", store)
    run(world, photos, *with_store, "--modes", "papre").refused(2, "Did you mean", "paper")
    run(world, photos, *with_store, "--modes", ",").refused(2, "--modes is empty")
    for wrong in ("0", "four", "2,-4", ""):
        run(world, photos, *with_store, "--k", wrong).refused(2, "--k is", "2,4,8")
    run(world, photos, "--labels", "red,green").refused(2, "'blue'", "--labels")
    run(world, photos, "--labels", "red").refused(2, "among the 1 labels")
    run(world, tmp_path / "none").refused(2, "no such file or folder")
    run(world, photos, "--captions", tmp_path).refused(1, "caption store")
    missing = lagotto(*EVAL, photos)
    assert (missing.code, "--encoder" in missing.err) == (2, True)


@pytest.mark.thorough
def test_in_a_process_of_its_own(world: World, photos: Path) -> None:
    found = lagotto_process(*EVAL, photos, "--encoder", world.encoder, "--json", "--quiet")
    assert (found.code, found.err) == (0, "")
    assert found.json["metrics"]["acc1"] == 1.0


@pytest.mark.real
def test_cats_and_dogs_by_the_real_encoder(assets: Path) -> None:
    encoder = assets / "encoder" / "photo-lit"
    photos = assets / "photos" / "cats-dogs"
    found = lagotto(*EVAL, photos, "--encoder", encoder, "--json", "--quiet").json
    assert found["metrics"]["acc1"] == pytest.approx(0.92, abs=0.02)
    assert [row["samples"] for row in found["per_class"]] == [99, 101]
