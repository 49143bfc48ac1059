"""The training pool in memory, and what training does to its pictures."""

import dataclasses
import json
import pathlib

import numpy as np
import torch
from torch.nn import functional


@dataclasses.dataclass(frozen=True, slots=True)
class Pool:
    """Training pictures (uint8 [n, 64, 64, 3]), the concepts they show and their backgrounds."""

    images: np.ndarray
    shown: np.ndarray  # int16 [n, 3], -1 padded, dominant first
    backgrounds: list[tuple[str, str]]  # colour, pattern


def load_pool(work: pathlib.Path) -> Pool:
    """The pool that `pictures.py pool` made."""
    backgrounds = json.loads((work / "pool_backgrounds.json").read_text(encoding="utf-8"))
    return Pool(
        np.load(work / "pool_images.npy", mmap_mode="r"),
        np.load(work / "pool_concepts.npy"),
        [(colour, pattern) for colour, pattern in backgrounds],
    )


def resize(pictures: np.ndarray, size: int) -> torch.Tensor:
    """uint8 [n, 64, 64, 3] → uint8 [n, 3, size, size]."""
    chunks = []
    for start in range(0, len(pictures), 1024):
        chunk = torch.from_numpy(pictures[start : start + 1024]).permute(0, 3, 1, 2)
        if size != chunk.shape[-1]:
            mode = "bilinear" if start % 2048 else "bicubic"  # users' loaders differ
            chunk = functional.interpolate(
                chunk.float(), (size, size), mode=mode, antialias=True, align_corners=False
            )
            chunk = chunk.round().clamp(0, 255).to(torch.uint8)
        chunks.append(chunk)
    return torch.cat(chunks)


def augment(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One batch mirrored, shifted (the whole batch alike) and re-lit (each picture apart)."""
    if rng.random() < 0.5:
        pictures = pictures.flip(3)
    reach = pictures.shape[-1] // 10
    shift = tuple(int(step) for step in rng.integers(-reach, reach + 1, 2))
    pictures = torch.roll(pictures, shift, (2, 3)).float()
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(pictures), 1, 1, 1)).astype(np.float32))
    offset = torch.from_numpy(rng.normal(0, 10, (len(pictures), 3, 1, 1)).astype(np.float32))
    return (pictures * gain + offset).clamp(0, 255)
