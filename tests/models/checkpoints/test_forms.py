"""Files that are called checkpoints and are something else: each is named, with what to do."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from checkpoint_makers import pickled, torch_legacy, torch_zip, zip_of
from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.opening import open_checkpoint

NET = {"fc.weight": np.ones((3, 2), np.float32), "fc.bias": np.ones(3, np.float32)}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 98563211\n"


def tar_of(*names: str, mtime: float = 0) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.mtime = mtime  # a fraction of a second stands in a header of its own
            archive.addfile(entry)
    return file.getvalue()


def old_version() -> bytes:
    return torch_legacy(NET).replace(b"M\xe9\x03.", b"M\xea\x03.", 1)


FORMS = {
    "pointer": (LFS, "Git LFS pointer"),
    "page": (b"<!DOCTYPE html><html><title>404</title></html>", "a saved web page"),
    "answer": (b"Entry not found", "server's answer"),
    "zeros": (bytes(5000), "filled with zeros"),
    "gzip": (gzip.compress(torch_legacy(NET)), "gunzip"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "call it .h5"),
    "tar": (tar_of("sys_info", "pickle", "storages", "tensors"), "weights_only=False)"),
    "tar with times": (tar_of("storages", mtime=1.5), "torch before 0.1.10"),
    "tar of a file": (tar_of("run/best.pth"), "a tar archive; unpack it first"),
    "other binary": (bytes(range(7, 250)) * 9, "begins like no checkpoint"),
    "floats": (np.linspace(1, 2, 900, dtype=np.float32).tobytes(), "begins like no checkpoint"),
    "keras": (zip_of([("config.json", b"{}"), ("model.weights.h5", b"")]), "call it .keras"),
    "export": (zip_of([("m/archive_format", b"pt2"), ("m/models/model.json", b"{}")]), ".pt2"),
    "old export": (zip_of([("serialized_exported_program.json", b"{}")]), ".pt2"),
    "package": (zip_of([("m/.data/extern_modules", b""), ("m/a.py", b"")]), "torch.package"),
    "zipped": (zip_of([("run/best.pth", torch_zip(NET))]), "unpack it first"),
    "two": (zip_of([("a/data.pkl", b"N."), ("b/data.pkl", b"N.")]), "2 checkpoints"),
    "other zip": (zip_of([("readme.txt", b"")]), "not one of torch.save"),
    "newer zip": (
        zip_of([("a/data.pkl", pickled(NET).data), ("a/version", b"11\n")]), "version '11'",
    ),
    "newer legacy": (old_version(), "version 1002"),
    "newer pickle": (b"\x80\x06N.", "protocol 6"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_checkpoint_is_named(tmp_path: Path, form: str) -> None:
    data, said = FORMS[form]
    file = tmp_path / "best.pth"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"^best\.pth is not read: it") as refused:
        open_checkpoint(file)
    assert said in str(refused.value)
    assert ";" in str(refused.value)


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata"])
def test_pieces_of_a_distributed_checkpoint(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x01\x02\x03")
    with pytest.raises(ModelError, match="dcp_to_torch_save"):
        open_checkpoint(file)


def test_a_file_that_is_not_there_or_empty(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        open_checkpoint(tmp_path / "none.pt")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(ModelError, match="empty"):
        open_checkpoint(tmp_path / "empty.pt")
    with pytest.raises(ModelError, match="not a regular file"):
        open_checkpoint(tmp_path)


def test_a_zip_from_a_mac_has_files_of_its_own_beside(tmp_path: Path) -> None:
    file = tmp_path / "best.pt"
    file.write_bytes(torch_zip(NET, root="best/"))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("__MACOSX/best/data.pkl", b"\0\5\x16\7")
    assert list(open_checkpoint(file).tensors) == ["weight", "bias"]
