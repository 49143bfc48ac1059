"""Pictures of a query: read once each, laid out for all, the same ones known again."""

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
from lagotto.specialists import batches as reading
from lagotto.specialists import sampling
from lagotto.specialists.batches import read_batches
from lagotto.specialists.classifier import Classifier, HubVoice
from lagotto.specialists.model_runs import ModelRuns
from lagotto.specialists.pixel_batches import PixelStage, SeenImages
from lagotto.specialists.sampling import sample_places

OWN = PixelSpec(8, 8)
OTHER = PixelSpec(5, 6, grey=True, resize="stretch")


def bad() -> bytes:
    raise PictureError("gone")


def zscore(files: list[Path], calls: list[int]) -> list[Callable[[], bytes]]:
    """Reads that note the place of each picture that is read."""

    def read(place: int, file: Path) -> bytes:
        calls.append(place)
        return read_picture_file(file)

    return [partial(read, place, file) for place, file in enumerate(files)]


def test_pixels_are_those_of_every_form(photos: list[Path], tmp_path: Path) -> None:
    calls: list[int] = []
    reads = [*zscore(photos[:3], calls), bad]
    looked = PixelStage(tmp_path, reads, OWN).look([2, 3, 0], [OTHER, OTHER, OWN])
    assert calls == [2, 0]
    assert looked.unreadable == {3: "gone"}
    assert (looked.rows, looked.new) == ({2: 0, 0: 1}, 2)
    for spec in (OWN, OTHER):
        wanted = [to_pixels(decode_picture(photos[place].read_bytes()), spec) for place in (2, 0)]
        assert np.array_equal(looked.pixels[spec].array(), np.stack(wanted))
    looked.discard()
    assert not list(tmp_path.iterdir())


def test_the_same_pixels_have_one_row_and_others_follow(photos: list[Path], tmp_path: Path) -> None:
    files = [photos[0], photos[1], photos[0], photos[2], photos[1], photos[3]]
    desk = PixelStage(tmp_path, [partial(read_picture_file, file) for file in files], OWN)
    shown = SeenImages()
    places = iter(range(6))
    first = desk.look(places, [], 2, shown)
    assert (first.rows, first.new) == ({0: 0, 1: 1}, 2)
    rest = desk.look(places, [OTHER], 9, shown)
    assert (rest.rows, rest.new) == ({2: 0, 3: 2, 4: 1, 5: 3}, 2)
    assert len(rest.pixels[OTHER].array()) == 2


def test_no_picture_at_all(tmp_path: Path) -> None:
    looked = PixelStage(tmp_path, [bad], OWN).look([0], [OTHER])
    assert (looked.new, looked.pixels[OTHER].array().shape) == (0, (0, 5, 6, 1))


@given(st.integers(0, 3000), st.integers(1, 300))
def test_any_part_of_the_places_is_spread_over_all(pictures: int, taken: int) -> None:
    places = list(sample_places(pictures))
    assert sorted(places) == list(range(pictures))
    part = sorted(places[:taken])
    if len(part) == taken and taken > 1:
        widest = max(np.diff([-1, *part, pictures]))
        assert widest <= max(3, 3 * pictures / taken + 1)


def test_every_picture_is_read_once_and_nothing_is_left(
    world: World, trained: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the encoder, for the models that are tried and for those that are asked."""
    monkeypatch.setattr(sampling, "SAMPLE_PICTURES", 26)
    monkeypatch.setattr(reading, "BATCH", 16)
    made = Classifier(str(world.encoder), NAMES, hub=HubVoice(trained, limits=Limits(workers=1)))
    calls: list[int] = []
    reads = zscore(photos, calls)
    with ModelRuns(made.limits) as runs:
        found = made.find_specialists(reads, runs)
        assert found.models
        assert len(calls) == 26
        assert not list(runs.folder.iterdir())
        batches = list(read_batches(made.encoder, [found], reads, runs))
        assert not list(runs.folder.iterdir())
    assert sorted(calls) == list(range(len(photos)))
    assert [len(batch.places) for batch in batches] == [16, 16, 8]
    every = np.concatenate([batch.embeddings for batch in batches])
    pixels = [
        to_pixels(decode_picture(file.read_bytes()), made.encoder.info.pixels) for file in photos
    ]
    assert np.allclose(every, made.encoder.embed_pixels(np.stack(pixels)), atol=1e-5)
    for match in found.choice.matches:
        values = np.concatenate([batch.logits[match.model] for batch in batches])
        assert values.shape[0] == len(photos)
        outputs = values[:, match.fit.votes.outputs].argmax(axis=1)
        assert [file.stem[3:] for file in photos] == [NAMES[label] for label in outputs]
