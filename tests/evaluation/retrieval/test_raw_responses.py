"""Reading folders of raw responses; every error is one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.errors import UsageError
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses

MODELS = [
    {"model": "one", "labels": ["cat", "dog"], "accuracy": 0.5, "label_accuracy": [0.25, 0.75]},
    {"model": "two", "labels": ["dog"], "backbone": "any"},
]
CODES = np.arange(12, dtype=np.uint8).reshape(4, 3)


def write_folder(folder: Path, **changes: object) -> Path:
    """Two models, three logits, four probes; `changes` replace what is written."""
    folder.mkdir(parents=True, exist_ok=True)
    given: dict[str, object] = {
        "models": MODELS,
        "u8": CODES,
        "scale": np.float32([0.5, 1, 2]),
        "offset": np.float32([0, 1, -1]),
        "embeddings": np.eye(4, 5, dtype=np.float16) * 2,
        **changes,
    }
    (folder / "models.json").write_text(json.dumps({"models": given["models"], "probes": []}))
    arrays = {name: np.asarray(given[name]) for name in ("u8", "scale", "offset")}
    np.savez_compressed(folder / "responses.npz", **arrays)
    np.save(folder / "probe_embeddings.npy", np.asarray(given["embeddings"]))
    return folder


def test_models_with_their_values(tmp_path: Path) -> None:
    found = read_raw_responses(write_folder(tmp_path))
    assert [model.name for model in found.models] == ["one", "two"]
    assert found.labels == ("cat", "dog", "dog")
    one, two = found.models
    np.testing.assert_array_equal(one.values, CODES[:, :2] * np.float32([0.5, 1]) + [0, 1])
    np.testing.assert_array_equal(two.values, CODES[:, 2:] * np.float32(2) - 1)
    assert (one.accuracy, one.label_accuracy) == (0.5, (0.25, 0.75))
    assert (two.accuracy, two.label_accuracy) == (None, None)
    np.testing.assert_array_equal(found.embeddings, np.eye(4, 5, dtype=np.float32))


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    first = read_raw_responses(write_folder(tmp_path / "a")).digest
    assert read_raw_responses(write_folder(tmp_path / "b")).digest == first
    assert read_raw_responses(write_folder(tmp_path / "c", u8=CODES + 1)).digest != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": []}, "no list"),
        ({"models": [{"model": "one"}]}, "model 0"),
        ({"models": [MODELS[1], MODELS[1]]}, "twice"),
        ({"models": [{**MODELS[0], "label_accuracy": [1]}]}, "one number a"),
        ({"models": [{**MODELS[0], "accuracy": "good"}]}, "is a number"),
        ({"models": MODELS[:1]}, "does not fit together"),
        ({"u8": CODES.astype(np.int16)}, "u8"),
        ({"scale": np.float32([1])}, "one number a logit"),
        ({"embeddings": np.zeros((3, 5), np.float32)}, "does not fit together"),
        ({"embeddings": np.zeros(4, np.float32)}, "no probes x dim"),
    ],
)
def test_misfits_are_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_raw_responses(write_folder(tmp_path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["models.json", "responses.npz", "probe_embeddings.npy"])
def test_missing_and_cut_files(tmp_path: Path, name: str) -> None:
    file = write_folder(tmp_path) / name
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(UsageError, match=name):
        read_raw_responses(tmp_path)
    file.unlink()
    with pytest.raises(UsageError, match=name):
        read_raw_responses(tmp_path)


@pytest.mark.real
def test_the_shared_mini_hub(assets: Path) -> None:
    found = read_raw_responses(assets / "inet-mini-hub")
    assert len(found.models) == 300
    assert found.models[0].values.shape == (2239, len(found.models[0].labels))
    np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1, atol=1e-5)
