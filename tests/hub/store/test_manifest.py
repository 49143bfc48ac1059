"""hub.json: written whole, read strictly."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.files import canonical_json, sha256_file
from lagotto.core.types import EncoderInfo, PixelSpec
from lagotto.hub.probes.embed import write_embeddings
from lagotto.hub.store.manifest import (
    Manifest,
    check_encoder,
    read_hub_manifest,
    write_hub_manifest,
)

MANIFEST = Manifest("clip/", "clip", "f" * 64, "d" * 64, 12, "e" * 64, "a" * 64, "b" * 64)


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_hub_manifest(tmp_path, MANIFEST)
    assert read_hub_manifest(tmp_path) == MANIFEST
    first = (tmp_path / "hub.json").read_bytes()
    write_hub_manifest(tmp_path, MANIFEST)
    assert (tmp_path / "hub.json").read_bytes() == first
    assert json.loads(first)["format"] == "lagotto-hub"
    assert [path.name for path in tmp_path.iterdir()] == ["hub.json"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "upgrade"),
        ({"version": "1"}, "upgrade"),
        ({"version": None}, "upgrade"),
        ({"format": "other"}, "not a hub manifest"),
        ({"probes": "12"}, "no valid probes"),
        ({"encoder_name": 3, "probe_digest": None}, "encoder_name, probe_digest"),
        ({"probes": 13}, "altered"),
        ({"more": 1}, "altered"),
        ({"sha256": "0" * 64}, "altered"),
        ({"sha256": None}, "altered"),
    ],
)
def test_what_is_wrong_with_it_is_named(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    write_hub_manifest(tmp_path, MANIFEST)
    content = json.loads((tmp_path / "hub.json").read_text())
    (tmp_path / "hub.json").write_bytes(canonical_json(content | change))
    with pytest.raises(HubError, match=said) as raised:
        read_hub_manifest(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff\xfe", b'"x"', b"NaN", b'{"probes": NaN}']
)
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "hub.json").write_bytes(data)
    with pytest.raises(HubError):
        read_hub_manifest(tmp_path)


def test_another_encoder_is_refused_by_both_names() -> None:
    info = EncoderInfo("other", "0" * 64, 8, PixelSpec(8, 8), 100.0, 77, "{}")
    with pytest.raises(
        MismatchError, match=r"clip \(ffffffffffff\), not with other \(000000000000\)"
    ):
        check_encoder(Path("hub"), MANIFEST, info)
    check_encoder(Path("hub"), MANIFEST, replace(info, fingerprint="f" * 64))


def test_embeddings_are_read_if_they_are_those_first_written(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.npy"
    values = np.eye(3, dtype=np.float32)
    write_embeddings(path, values)
    manifest = replace(MANIFEST, embeddings_sha256=sha256_file(path))
    np.testing.assert_array_equal(manifest.open_embeddings(path), values)
    write_embeddings(path, values * 2)
    with pytest.raises(HubError, match="altered"):
        manifest.open_embeddings(path)
