"""Weights that are saved in parts are the weights that torch computes from them."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint_makers import torch_zip
from lagotto.models.checkpoints.opening import open_checkpoint

RNG = np.random.default_rng(4)
REST = {"conv.weight": np.ones((2, 3, 1, 1), np.float32)}


def drawn(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def read(tensors: dict[str, Any], folder: Path) -> dict[str, np.ndarray]:
    (folder / "best.pt").write_bytes(torch_zip(tensors))
    return {
        name: tensor.read() for name, tensor in open_checkpoint(folder / "best.pt").tensors.items()
    }


@pytest.mark.parametrize(
    ("length", "direction"),
    [("weight_g", "weight_v"), ("parametrizations.weight.original0",) * 2],
)
def test_weight_norm(length: str, direction: str, tmp_path: Path) -> None:
    direction = direction.replace("original0", "original1")
    g, v = drawn(4, 1), drawn(4, 6)
    found = read({**REST, f"fc.{length}": g, f"fc.{direction}": v, "fc.bias": drawn(4)}, tmp_path)
    assert list(found) == ["conv.weight", "fc.weight", "fc.bias"]
    expected = [row * one / np.sqrt((row**2).sum()) for row, one in zip(v, g, strict=True)]
    np.testing.assert_allclose(found["fc.weight"], expected, rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    "names",
    [
        ("weight_orig", "weight_u", "weight_v"),
        tuple(f"parametrizations.weight.{end}" for end in ("original", "0._u", "0._v")),
    ],
)
def test_spectral_norm(names: tuple[str, ...], axis: int, tmp_path: Path) -> None:
    weight = drawn(2, 3, 2, 2)
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    parts = (weight, drawn(rows.shape[0]), drawn(rows.shape[1]))
    tensors = {f"up.{name}": part for name, part in zip(names, parts, strict=True)}
    found = read({**REST, **tensors}, tmp_path)
    assert list(found) == ["conv.weight", "up.weight"]
    sigma = sum(
        parts[1][row] * rows[row, column] * parts[2][column]
        for row, column in np.ndindex(*rows.shape)
    )
    np.testing.assert_allclose(found["up.weight"], weight / sigma, rtol=1e-4)


def test_parts_of_another_parametrization_stay_as_they_are(tmp_path: Path) -> None:
    other = {"fc.parametrizations.weight.original": drawn(4, 6), "fc.weight_g": drawn(3, 3)}
    assert list(read({**REST, **other}, tmp_path)) == [*REST, *other]


def test_what_torch_saves_is_what_torch_computes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
    nn: Any = importlib.import_module("torch.nn")
    torch.manual_seed(1)
    norms = nn.utils.parametrizations
    layers = (
        norms.weight_norm(nn.Linear(6, 4)),
        norms.weight_norm(nn.Conv2d(3, 5, 3), dim=None),
        norms.spectral_norm(nn.Conv2d(3, 5, 3)),
        norms.spectral_norm(nn.ConvTranspose2d(3, 5, 3)),
    )
    network = nn.Sequential(*layers).eval()
    torch.save(network.state_dict(), tmp_path / "net.pth")
    tensors = open_checkpoint(tmp_path / "net.pth").tensors
    assert len(tensors) == 2 * len(layers)
    for at, layer in enumerate(layers):
        expected = layer.weight.detach().numpy()
        np.testing.assert_allclose(tensors[f"{at}.weight"].read(), expected, rtol=1e-4, atol=1e-6)
