"""A folder and a path → whether the path stays inside, links followed."""

from pathlib import Path

import pytest

from lagotto.core.arguments.links import link_roots, stays_inside


def snapshot(cache: Path, kind: str = "models") -> Path:
    """A repository as the Hugging Face cache keeps it; the folder of its one commit."""
    repository = cache / f"{kind}--org--name"
    folder = repository / "snapshots" / "0123abc"
    (folder / "onnx").mkdir(parents=True)
    (repository / "blobs").mkdir()
    for blob, link in (("aa", "config.json"), ("bb", "onnx/model.onnx")):
        (repository / "blobs" / blob).write_bytes(b"x")
        depth = "../" * (link.count("/") + 2)
        (folder / link).symlink_to(f"{depth}blobs/{blob}")
    return folder


@pytest.mark.parametrize("kind", ["models", "datasets", "spaces"])
def test_links_of_a_snapshot_into_the_blobs_of_its_repository_are_inside(
    tmp_path: Path, kind: str
) -> None:
    folder = snapshot(tmp_path, kind)
    repository = folder.parents[1]
    for given in (folder, folder / "onnx", folder.parent, repository, tmp_path):
        assert stays_inside(folder / "onnx/model.onnx", link_roots(given)), given
    (tmp_path / "mine").symlink_to(folder)
    assert stays_inside(tmp_path / "mine/config.json", link_roots(tmp_path / "mine"))


def test_links_elsewhere_are_outside(tmp_path: Path) -> None:
    folder = snapshot(tmp_path)
    other = snapshot(tmp_path / "second")
    outside = tmp_path / "secret.onnx"
    outside.write_bytes(b"x")
    (folder / "away.onnx").symlink_to(outside)
    (folder / "other.onnx").symlink_to(other.parents[1] / "blobs/aa")
    (folder / "refs.onnx").symlink_to(folder.parents[1] / "refs/main")
    (folder / "loop.onnx").symlink_to(folder / "loop.onnx")
    for name in ("away.onnx", "other.onnx", "refs.onnx"):
        assert not stays_inside(folder / name, link_roots(folder)), name
    loop = folder / "loop.onnx"
    assert not loop.exists() or not stays_inside(loop, link_roots(folder))
    plain = tmp_path / "plain/snapshots/c"
    plain.mkdir(parents=True)
    (tmp_path / "plain/blobs").mkdir()
    (plain / "m.onnx").symlink_to(tmp_path / "plain/blobs/aa")
    assert not stays_inside(plain / "m.onnx", link_roots(plain))
