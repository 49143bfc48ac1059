"""One `hub add` over a folder as engineers leave it: every file is accounted for."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from colour_world import World, shared_world
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from lagotto.models.registry import TRANSLATORS
from mixed_folder import MixedFile, write_mixed_folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


def expected_of(item: MixedFile) -> str:
    """The outcome of a file; without a translator of its ending it is not read."""
    return "not read" if item.ending and item.ending not in TRANSLATORS else item.outcome


def test_every_file_is_accounted_for_and_concepts_are_found(world: World, tmp_path: Path) -> None:
    items = write_mixed_folder(tmp_path / "models", with_checkpoints=False)
    if find_spec("h5py") is None:  # the extra of all models of Keras
        items = tuple(item for item in items if item.ending not in (".json", ".h5"))
    hub = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "hub"))
    report = hub.add(tmp_path / "models", limits=Limits(workers=1))
    on_disk = sum(file.is_file() for file in (tmp_path / "models").rglob("*"))
    assert report.files.seen == on_disk
    failed = {failure.model: failure.reason for failure in report.failures}
    not_read = {
        Path(item.file).relative_to(tmp_path / "models").as_posix() for item in report.not_read
    }
    for item in items:
        outcome = expected_of(item)
        assert (item.name in report.done) == (outcome == "model"), (item, failed.get(item.name))
        assert (item.name in failed) == (outcome == "failed"), item
        assert (item.path in not_read) == (outcome == "not read"), item
        if outcome == "model":
            for logit, colour in enumerate(item.colours):
                hits = hub.search(colour, top=6, behaviour_only=True)
                assert (item.name, logit) in [(hit.model, hit.logit) for hit in hits], colour
    assert all("\n" not in reason for reason in failed.values())
