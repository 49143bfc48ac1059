"""The pictures of a query: each is read once, written in every pixel format, and copies share a
row."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colour_world import NAMES, World
from lagotto.core.errors import PictureError
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.core.types import PixelSpec
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.specialists.model_runs import ModelRuns
from lagotto.specialists.pictures import batches as batches_module
from lagotto.specialists.pictures import sampling
from lagotto.specialists.pictures.batches import read_batches
from lagotto.specialists.pictures.pixel_batches import PixelStage, SeenImages
from lagotto.specialists.pictures.sampling import sample_positions

ENCODER_SPEC = PixelSpec(8, 8)
OTHER_SPEC = PixelSpec(5, 6, grey=True, resize="stretch")


def bad() -> bytes:
    raise PictureError("gone")


def recording_readers(files: list[Path], calls: list[int]) -> list[Callable[[], bytes]]:
    """Readers that append the position of each picture that is read to `calls`."""

    def read(position: int, file: Path) -> bytes:
        calls.append(position)
        return read_picture_file(file)

    return [partial(read, position, file) for position, file in enumerate(files)]


def test_pixels_are_those_of_every_form(photos: list[Path], tmp_path: Path) -> None:
    calls: list[int] = []
    readers = [*recording_readers(photos[:3], calls), bad]
    batch = PixelStage(tmp_path, readers, ENCODER_SPEC).load(
        [2, 3, 0], [OTHER_SPEC, OTHER_SPEC, ENCODER_SPEC]
    )
    assert calls == [2, 0]
    assert batch.unreadable == {3: "gone"}
    assert (batch.rows, batch.new) == ({2: 0, 0: 1}, 2)
    for spec in (ENCODER_SPEC, OTHER_SPEC):
        expected = [
            to_pixels(decode_picture(photos[position].read_bytes()), spec) for position in (2, 0)
        ]
        assert np.array_equal(batch.pixels[spec].array(), np.stack(expected))
    batch.discard()
    assert not list(tmp_path.iterdir())


def test_the_same_pixels_have_one_row_and_others_follow(photos: list[Path], tmp_path: Path) -> None:
    files = [photos[0], photos[1], photos[0], photos[2], photos[1], photos[3]]
    stage = PixelStage(tmp_path, [partial(read_picture_file, file) for file in files], ENCODER_SPEC)
    seen_images = SeenImages()
    positions = iter(range(6))
    batch = stage.load(positions, [], 2, seen_images)
    assert (batch.rows, batch.new) == ({0: 0, 1: 1}, 2)
    second = stage.load(positions, [OTHER_SPEC], 9, seen_images)
    assert (second.rows, second.new) == ({2: 0, 3: 2, 4: 1, 5: 3}, 2)
    assert len(second.pixels[OTHER_SPEC].array()) == 2


def test_no_picture_at_all(tmp_path: Path) -> None:
    batch = PixelStage(tmp_path, [bad], ENCODER_SPEC).load([0], [OTHER_SPEC])
    assert (batch.new, batch.pixels[OTHER_SPEC].array().shape) == (0, (0, 5, 6, 1))


@given(st.integers(0, 3000), st.integers(1, 300))
def test_any_part_of_the_places_is_spread_over_all(pictures: int, count: int) -> None:
    positions = list(sample_positions(pictures))
    assert sorted(positions) == list(range(pictures))
    part = sorted(positions[:count])
    if len(part) == count and count > 1:
        widest = max(np.diff([-1, *part, pictures]))
        assert widest <= max(3, 3 * pictures / count + 1)


def test_every_picture_is_read_once_and_nothing_is_left(
    world: World, trained: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read serves the encoder, the candidates and the selected models."""
    monkeypatch.setattr(sampling, "SAMPLE_PICTURES", 26)
    monkeypatch.setattr(batches_module, "BATCH_PICTURES", 16)
    classifier = Classifier(
        str(world.encoder), NAMES, hub=HubVoice(trained, limits=Limits(workers=1))
    )
    calls: list[int] = []
    readers = recording_readers(photos, calls)
    with ModelRuns(classifier.limits) as runs:
        result = classifier.find_specialists(readers, runs)
        assert result.models
        assert len(calls) == 26
        assert not list(runs.folder.iterdir())
        batches = list(read_batches(classifier.encoder, [result], readers, runs))
        assert not list(runs.folder.iterdir())
        folder = runs.folder
    assert not folder.exists()
    runs.close()  # what was ended stays so
    assert sorted(calls) == list(range(len(photos)))
    assert [len(batch.positions) for batch in batches] == [16, 16, 8]
    embeddings = np.concatenate([batch.embeddings for batch in batches])
    pixels = [
        to_pixels(decode_picture(file.read_bytes()), classifier.encoder.info.pixels)
        for file in photos
    ]
    assert np.allclose(embeddings, classifier.encoder.embed_pixels(np.stack(pixels)), atol=1e-5)
    for match in result.selection.matches:
        values = np.concatenate([batch.logits[match.model] for batch in batches])
        assert values.shape[0] == len(photos)
        outputs = values[:, match.fit.votes.outputs].argmax(axis=1)
        assert [file.stem[3:] for file in photos] == [NAMES[label] for label in outputs]
