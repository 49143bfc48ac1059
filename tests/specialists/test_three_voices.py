"""The classifier with a hub, end to end: models are found, run in workers, vote, are explained."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import lagotto
from colour_world import MODELS, NAMES, World, write_classifier, write_encoder
from lagotto.core.errors import MismatchError, UsageError
from lagotto.core.types import Skipped
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.classifier import (
    Classifier,
    HubVoice,
    check_voices,
)
from lagotto.specialists.pictures import batches as batches_module
from lagotto.specialists.pictures import sampling
from lagotto.zeroshot.types import Prediction
from taught_world import copy_of, without_labels

LIMITS = Limits(workers=1)


def classifier(world: World, hub: Path, **options: object) -> Classifier:
    settings = {"max_models": 3, "limits": LIMITS} | {
        key: options.pop(key) for key in ("max_models", "use_names", "limits") if key in options
    }
    return Classifier(str(world.encoder), NAMES, hub=HubVoice(hub, **settings), **options)


def right(rows: list[Prediction | Skipped], files: list[Path]) -> float:
    hits = [
        isinstance(row, Prediction) and file.stem.endswith(NAMES[row.probabilities.argmax()])
        for row, file in zip(rows, files, strict=True)
    ]
    return float(np.mean(hits))


@pytest.mark.parametrize("use_names", [True, False])
def test_models_are_found_and_their_outputs_known(
    world: World, trained: Path, photos: list[Path], use_names: bool
) -> None:
    made = classifier(world, trained, use_names=use_names)
    rows = list(made.predict(photos))
    assert right(rows, photos) == 1.0
    by_name = {each.model: each for each in made.specialists}
    assert set(by_name) <= {"all_eight", "all_nameless"}
    first = made.specialists[0]
    order_of_model = {"all_eight": NAMES[::-1], "all_nameless": (*NAMES[3:], *NAMES[:3])}[
        first.model
    ]
    assert [order_of_model[output] for output in first.outputs] == list(NAMES)
    assert first.named_count == (8 if use_names else 0)  # by twins, too
    for row in rows:
        assert isinstance(row, Prediction)
        assert sum(row.weights) + row.hub_weight == pytest.approx(1)
        assert 0 < row.hub_weight < 1
        assert {vote.model for vote in row.votes} == set(by_name)
        for vote in row.votes:
            assert vote.probabilities.sum() + vote.rest == pytest.approx(1)


def test_what_the_sample_does_not_hold_is_read_in_batches(
    world: World, trained: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures inside and outside the sample get the same predictions; unreadable ones a reason."""
    whole = list(classifier(world, trained).predict(photos))
    monkeypatch.setattr(sampling, "SAMPLE_PICTURES", 26)
    monkeypatch.setattr(batches_module, "BATCH_PICTURES", 16)
    bad = photos[0].with_name("zz_bad.png")
    bad.write_text("no picture")
    files = [*photos[:7], bad, *photos[7:], photos[0].with_name("gone.png")]
    made = classifier(world, trained)
    rows = list(made.predict(files))
    assert isinstance(rows[7], Skipped)
    assert isinstance(rows[-1], Skipped)
    assert right([row for row in rows if isinstance(row, Prediction)], photos) == 1.0
    assert [row.path for row in whole if isinstance(row, Prediction)] == [
        row.path for row in rows if isinstance(row, Prediction)
    ]


def test_a_query_that_repeats_itself_is_asked_as_if_it_did_not(
    world: World, trained: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four copies of a picture are evidence once; each still has its row."""
    monkeypatch.setattr(sampling, "SAMPLE_PICTURES", 30)
    monkeypatch.setattr(sampling, "MAX_PICTURES_READ", 400)
    made = classifier(world, trained)
    rows = list(made.predict([*photos, *photos, *photos, *photos]))
    assert right(rows, [*photos] * 4) == 1.0
    for start in range(40):
        same = [rows[place] for place in range(start, 160, 40)]
        probabilities = [row.probabilities for row in same if isinstance(row, Prediction)]
        assert np.allclose(probabilities, probabilities[0])
    few = classifier(world, trained)
    assert len(list(few.predict(photos[:20] * 8))) == 160
    assert any("20 different pictures are too few" in note for note in few.notes)


def test_models_that_saw_some_of_the_probes_are_asked(
    world: World, trained: Path, photos: list[Path], tmp_path: Path
) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(world.empty_hub, hub)
    made = Hub.open(hub)
    made.add([trained.parent / "models"], probes_per_model=len(made.probes) // 3)
    assert all(
        len(made.reader.seen_probes(each.name)) < len(made.probes) for each in made.reader.records()
    )
    second = classifier(world, hub, use_names=False)
    assert right(list(second.predict(photos)), photos) == 1.0
    assert {each.model for each in second.specialists} <= {"all_eight", "all_nameless"}
    assert second.specialists


def test_the_same_input_gives_the_same_answer(
    world: World, trained: Path, photos: list[Path]
) -> None:
    one, two = (list(classifier(world, trained).predict(photos)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert isinstance(a, Prediction)
        assert isinstance(b, Prediction)
        assert np.array_equal(a.probabilities, b.probabilities)


def test_labels_that_no_model_knows_keep_the_image(world: World, photos: list[Path]) -> None:
    """The shared hub's classifiers were never trained: each of their logits is on its own scale."""
    made = Classifier(str(world.encoder), ["cat", "dog"], hub=HubVoice(world.hub, limits=LIMITS))
    for row in made.predict(photos):
        assert isinstance(row, Prediction)
        assert np.array_equal(row.probabilities, row.image_only)
        assert (row.hub_weight, row.votes) == (0.0, ())
    assert any("no model of the hub is asked" in note for note in made.notes)


def test_few_pictures_are_too_few(world: World, trained: Path, photos: list[Path]) -> None:
    made = classifier(world, trained)
    (row,) = made.predict(photos[:1])
    assert isinstance(row, Prediction)
    assert np.array_equal(row.probabilities, row.image_only)
    assert any("too few to check a model on" in note for note in made.notes)


def test_voices(world: World, trained: Path, photos: list[Path]) -> None:
    alone = classifier(world, trained, voices=["hub"])
    rows = list(alone.predict(photos))
    assert right(rows, photos) == 1.0
    assert all(row.hub_weight == 1.0 for row in rows if isinstance(row, Prediction))
    silent = classifier(world, trained, voices=["image"])
    for row in silent.predict(photos):
        assert isinstance(row, Prediction)
        assert np.array_equal(row.probabilities, row.image_only)
    assert check_voices(None, False, True) == ("image", "hub")
    assert check_voices(["hub", "image"], True, True) == ("image", "hub")
    for wrong, said in ((["hubs"], "Did you mean 'hub'"), (["captions"], "needs"), ([], "no voic")):
        with pytest.raises(UsageError, match=said):
            check_voices(wrong, False, True)


def test_models_that_went_or_changed_are_named(
    world: World, trained: Path, photos: list[Path], tmp_path: Path
) -> None:
    models, hub = tmp_path / "models", tmp_path / "hub"
    shutil.copytree(trained.parent / "models", models)
    shutil.copytree(world.empty_hub, hub)
    Hub.open(hub).add([models])
    shutil.rmtree(models / "all_eight")
    shutil.rmtree(models / "three")
    write_classifier(models / "three", MODELS["plain"])
    made = classifier(world, hub)
    assert right(list(made.predict(photos)), photos) == 1.0
    assert {each.model for each in made.specialists} == {"all_nameless"}
    told = " ".join(made.notes)
    assert "all_eight is not asked: its file has gone from" in told
    assert "three is not asked: its file" in told
    assert "has changed since it was probed" in told


@pytest.mark.workers
def test_a_model_that_fails_is_left_out(world: World, trained: Path, photos: list[Path]) -> None:
    made = classifier(world, trained, limits=Limits(workers=1, timeout_s=1e-4))
    for row in made.predict(photos):
        assert isinstance(row, Prediction)
        assert np.array_equal(row.probabilities, row.image_only)
    assert any("failed: no answer within" in note for note in made.notes)


def test_a_hub_of_another_encoder_is_refused(world: World, trained: Path, tmp_path: Path) -> None:
    other = write_encoder(tmp_path / "other", sharpness=3.0)
    with pytest.raises(MismatchError, match="encoder"):
        Classifier(str(other), NAMES, hub=trained)
    with pytest.raises(UsageError, match="give 1 or more"):
        Classifier(str(world.encoder), NAMES, hub=HubVoice(trained, max_models=0))


def test_public_names() -> None:
    assert lagotto.Classifier is Classifier
    assert lagotto.HubVoice is HubVoice


@pytest.mark.real
def test_real_specialists_are_found_among_others(assets: Path, tmp_path: Path) -> None:
    """80 pictures of ten kinds, on which the encoder alone is right two times of five."""
    encoder = lagotto.load_encoder(str(assets / "encoder" / "photo-lit"))
    hub = Hub.create(
        tmp_path / "hub", assets / "photos" / "coco" / "captions.jsonl", encoder, max_probes=60
    )
    names = ("mlperf-cifar10-resnet8", "bcom5-cifar10-mobilenet-x0-25", "hozh-wardrobe")
    hub.add([assets / "hub" / name for name in names])
    folder = assets / "photos" / "cifar10"
    lines = (folder / "labels.jsonl").read_text().splitlines()[:80]
    rows = [line.split('"')[3::4] for line in lines]
    labels = sorted({label for _, label in rows})
    made = Classifier(encoder, labels, hub=HubVoice(hub, use_names=False))
    found = list(made.predict(folder / image for image, _ in rows))
    predictions = [row for row in found if isinstance(row, Prediction)]
    truth = [labels.index(label) for _, label in rows]
    alone = np.mean([p.image_only.argmax() == t for p, t in zip(predictions, truth, strict=True)])
    heard = np.mean(
        [p.probabilities.argmax() == t for p, t in zip(predictions, truth, strict=True)]
    )
    assert {each.model for each in made.specialists} == set(names[:2])
    assert alone.mean() < 0.55
    assert heard.mean() > 0.7


def test_a_nameless_model_is_asked_by_the_names_of_a_reference(
    world: World, trained: Path, photos: list[Path], tmp_path: Path
) -> None:
    """The reference's labels name the outputs of a model without labels; its file is gone."""
    hub = copy_of(trained, tmp_path / "hub", {"three": without_labels}, "all_eight")
    with sqlite3.connect(hub.folder / "catalogue.sqlite") as tables:
        tables.execute("UPDATE models SET source = '/gone' WHERE name = 'all_eight'")
    for use_names in (True, False):
        made = classifier(world, hub.folder, use_names=use_names)
        assert right(list(made.predict(photos)), photos) == 1.0
        first = made.specialists[0]
        assert first.model == "all_nameless"
        order = (*NAMES[3:], *NAMES[:3])
        assert [order[output] for output in first.outputs] == list(NAMES)
        assert first.named_count == (8 if use_names else 0)
