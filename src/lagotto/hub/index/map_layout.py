"""Descriptor blocks come in; a place in the plane for each logit, near those alike, goes out.

Descriptors are rotated to their principal directions, and each logit is tied to its nearest
neighbours there. Places then follow two forces, as in UMAP: ties pull, and random other logits
push. The places say who is near whom; distances over the whole map mean nothing.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from lagotto.core.progress import Progress, Silent
from lagotto.core.vectors import top_k
from lagotto.hub.descriptors.blocks import Block

LAID_OUT = 8000
"""Logits that the forces move; further ones are placed among their nearest of these."""

_SAMPLE = 20_000
_DIMENSIONS = 32
_NEIGHBOURS = 12
_STEPS = 300
_PUSHES = 4
_AT_ONCE = 1024
_MOST_FORCE = 4.0
_SHARPNESS = 2
"""How fast a tie weakens with the likeness, against that of the nearest neighbour."""


def lay_out(
    blocks: Sequence[Block], progress: Progress | None = None, seed: int = 0
) -> Float32[np.ndarray, "logits 2"]:
    """A place for each logit, from 0 to 1 along both axes; the same blocks give the same places.

    A logit that is not searched (step 0) is NaN.

    Args:
        blocks: The hub's blocks, in order.
        progress: Hears of the steps.
        seed: Of the random pushes.
    """
    steps = np.concatenate([np.zeros(0, np.float32), *(block.steps for block in blocks)])
    places = np.full((len(steps), 2), np.nan, np.float32)
    usable = np.flatnonzero(steps > 0)
    if len(usable) < 3:
        places[usable] = np.linspace(0.25, 0.75, max(len(usable), 1))[: len(usable), None]
        return places
    generator = np.random.default_rng(seed)
    vectors = _rotate(blocks, generator)[usable]
    chosen = np.arange(len(usable))
    if len(usable) > LAID_OUT:
        chosen = np.sort(generator.choice(len(usable), LAID_OUT, replace=False))
    anchors = vectors[chosen]
    placed = _settle(anchors, generator, progress or Silent())
    found = np.empty((len(usable), 2), np.float32)
    found[chosen] = placed
    others = np.setdiff1d(np.arange(len(usable)), chosen, assume_unique=True)
    if len(others):
        found[others] = _place_among(vectors[others], anchors, placed, generator)
    low, high = found.min(axis=0), found.max(axis=0)
    places[usable] = (found - low) / np.maximum(high - low, 1e-9)
    return np.asarray(places, dtype=np.float32)


def _rotate(
    blocks: Sequence[Block], generator: np.random.Generator
) -> Float32[np.ndarray, "logits dimensions"]:
    """Unit vectors of all logits along the principal directions of a sample of them."""
    probes = blocks[0].values.shape[0]
    total = sum(block.steps.size for block in blocks)
    share = min(1.0, _SAMPLE / total)
    gram = np.zeros((probes, probes))
    for block in blocks:
        columns = np.flatnonzero(generator.random(block.steps.size) < share)
        for start in range(0, len(columns), _AT_ONCE):
            part = _descriptors(block, columns[start : start + _AT_ONCE])
            gram += part @ part.T
    directions = np.linalg.eigh(gram)[1][:, ::-1][:, :_DIMENSIONS].astype(np.float32)
    parts = []
    for block in blocks:
        for start in range(0, block.steps.size, _AT_ONCE):
            columns = np.arange(start, min(start + _AT_ONCE, block.steps.size))
            parts.append(_descriptors(block, columns).T @ directions)
    vectors = np.concatenate(parts)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def _descriptors(
    block: Block, columns: Int64[np.ndarray, " columns"]
) -> Float32[np.ndarray, "probes columns"]:
    return np.asarray(block.values[:, columns] * block.steps[columns], dtype=np.float32)


def _neighbours(
    vectors: Float32[np.ndarray, "rows dimensions"],
    among: Float32[np.ndarray, "others dimensions"],
    count: int,
) -> Int64[np.ndarray, "rows count"]:
    """The nearest of other vectors, by cosine, best first."""
    parts = [
        top_k(vectors[start : start + _AT_ONCE] @ among.T, count)
        for start in range(0, len(vectors), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _settle(
    vectors: Float32[np.ndarray, "points dimensions"],
    generator: np.random.Generator,
    progress: Progress,
) -> Float32[np.ndarray, "points 2"]:
    """Places of points after the two forces have moved them."""
    count = len(vectors)
    ties = _neighbours(vectors, vectors, min(_NEIGHBOURS, count - 1) + 1)[:, 1:]
    likeness = np.einsum("pd,pnd->pn", vectors, vectors[ties]).clip(1e-3)
    strength = (likeness / likeness.max(axis=1, keepdims=True)) ** _SHARPNESS
    places = vectors[:, :2] - vectors[:, :2].mean(axis=0)
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(count, np.float32)])
    places = 10 * places / max(float(np.abs(places).max()), 1e-9)
    places = (places + generator.normal(0, 1e-3, places.shape)).astype(np.float32)
    everyone = np.arange(count)
    progress.start("laying out", _STEPS, "steps")
    for step in range(_STEPS):
        rate = 1.0 - step / _STEPS
        tie = generator.integers(ties.shape[1], size=count)
        tied = ties[everyone, tie]
        apart = places - places[tied]
        squared = (apart**2).sum(axis=1, keepdims=True)
        pull = np.clip(-2 * apart / (1 + squared), -_MOST_FORCE, _MOST_FORCE)
        pull *= rate * strength[everyone, tie][:, None]
        moved = pull.copy()
        for axis in range(2):
            moved[:, axis] -= np.bincount(tied, pull[:, axis], count)
        for _ in range(_PUSHES):
            other = generator.integers(count, size=count)
            apart = places - places[other]
            squared = (apart**2).sum(axis=1, keepdims=True)
            push = 2 * apart / ((0.01 + squared) * (1 + squared))
            moved += np.clip(push, -_MOST_FORCE, _MOST_FORCE) * rate
        places = (places + 0.5 * np.clip(moved, -2 * _MOST_FORCE, 2 * _MOST_FORCE)).astype(
            np.float32
        )
        progress.advance(1)
    progress.finish()
    return np.asarray(places, dtype=np.float32)


def _place_among(
    vectors: Float32[np.ndarray, "others dimensions"],
    anchors: Float32[np.ndarray, "anchors dimensions"],
    placed: Float32[np.ndarray, "anchors 2"],
    generator: np.random.Generator,
) -> Float32[np.ndarray, "others 2"]:
    """Each vector in the midst of its three nearest anchors, a little beside it."""
    nearest = _neighbours(vectors, anchors, 3)
    weights = np.array([0.6, 0.25, 0.15], np.float32)
    places = (placed[nearest] * weights[:, None]).sum(axis=1)
    spread = float(np.median(np.abs(placed - np.median(placed, axis=0)))) * 0.01
    return np.asarray(places + generator.normal(0, spread, places.shape), dtype=np.float32)
