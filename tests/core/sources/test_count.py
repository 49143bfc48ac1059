"""A place that holds nothing to read: every reader says what it holds, and the way out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lagotto.core.errors import LagottoError
from lagotto.hub.probes.probe_set import read_candidates
from lagotto.hub.probes.sources import read_probe_source
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.images import find_picture_files

READERS: dict[str, Callable[[Path], object]] = {
    "probes": lambda path: read_candidates([path]),
    "captions": find_sources,
    "pictures to classify": lambda path: find_picture_files([path]),
}
WAYS = {".zip": "unpack the .zip first", ".arrow": "datasets.load_from_disk(FOLDER)", ".md": ""}


@pytest.mark.parametrize("ending", WAYS)
@pytest.mark.parametrize("reader", READERS)
def test_a_folder_without_anything_to_read(tmp_path: Path, reader: str, ending: str) -> None:
    (tmp_path / f"data{ending}").write_bytes(b"anything")
    with pytest.raises(LagottoError) as caught:
        READERS[reader](tmp_path)
    message = str(caught.value)
    assert f"(1 seen: 0 taken, 0 skipped, 1 passed over (1 {ending}))" in message
    assert message.endswith("))") if not WAYS[ending] else WAYS[ending] in message


@pytest.mark.parametrize("read", [lambda path: list(read_probe_source(path)), find_sources])
def test_a_file_that_is_an_archive(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "data.ZIP").write_bytes(b"anything")
    with pytest.raises(LagottoError, match=r"; unpack the \.zip first$"):
        read(tmp_path / "data.ZIP")
