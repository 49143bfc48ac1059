"""A table or an archive that was not downloaded is named as what lies there."""

from pathlib import Path

import pytest

from lagotto.core.errors import CaptionError
from lagotto.zeroshot.captions.sources.parquet import parquet_source
from lagotto.zeroshot.captions.sources.webdataset import tar_source


@pytest.mark.parametrize("read", [parquet_source, tar_source])
@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "is a Git LFS pointer"),
        (b"<!doctype html>\n<html><title>Sign in</title>", r"is a saved web page \('Sign in'\)"),
        (b'{"error":"Repository not found"}', "'Repository not found'"),
        (b"\x1f\x8b\x08" + bytes(600), "gunzip"),
    ],
)
def test_it_is_named(read: object, content: bytes, named: str, tmp_path: Path) -> None:
    file = tmp_path / "shard"
    file.write_bytes(content)
    with pytest.raises(CaptionError, match=named) as error:
        read(file)  # type: ignore[operator]
    assert "\n" not in str(error.value)
