"""A seed comes in; a picture of dead leaves goes out: shapes of all sizes that cover each other.

Such pictures have the statistics of natural ones (edges and sizes that follow power laws) and show
nothing. They are drawn here, so they may be used for anything.
"""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

LEAVES_EDGE = 256
_LEAVES = 900
_SMALLEST, _LARGEST = 2.0, 90.0
"""Radii in pixels; their density falls with the third power, as in nature."""

_OVERSAMPLED = 2


def draw_dead_leaves(seed: int, edge: int = LEAVES_EDGE) -> Image.Image:
    """An RGB picture; the same seed gives the same pixels."""
    rng = np.random.default_rng([seed, 0x1EAF])
    scale = edge * _OVERSAMPLED / LEAVES_EDGE
    canvas = Image.new("RGB", (edge * _OVERSAMPLED,) * 2)
    draw = ImageDraw.Draw(canvas)
    palette = rng.uniform(0, 255, (int(rng.integers(3, 12)), 3))
    draw.rectangle((0, 0, *canvas.size), fill=_colour(palette[0]))
    uniform = rng.uniform(size=_LEAVES)
    low, high = _SMALLEST**-2, _LARGEST**-2
    radii = np.sort((low - uniform * (low - high)) ** -0.5)[::-1]  # large leaves lie below
    order = rng.permutation(_LEAVES) if rng.uniform() < 0.5 else np.arange(_LEAVES)
    for radius in radii[order] * scale:
        centre = rng.uniform(-radius, canvas.size[0] + radius, 2)
        colour = palette[rng.integers(len(palette))] + rng.normal(0, 18, 3)
        _leaf(draw, rng, centre, float(radius), _colour(colour))
    small = canvas.resize((edge, edge), Image.Resampling.BOX)
    noise = rng.normal(0, 4, (edge, edge, 3))
    pixels: UInt8[np.ndarray, "height width 3"] = (
        (np.asarray(small, dtype=np.float64) + noise).clip(0, 255).astype(np.uint8)
    )
    return Image.fromarray(pixels)


def _leaf(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    centre: np.ndarray,
    radius: float,
    colour: tuple[int, int, int],
) -> None:
    """One leaf: a disk, or a polygon of three to eight corners."""
    if rng.uniform() < 0.5:
        stretch = rng.uniform(0.5, 1.0, 2)
        box = (*(centre - radius * stretch), *(centre + radius * stretch))
        draw.ellipse(tuple(map(float, box)), fill=colour)
        return
    corners = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw.polygon([(float(x), float(y)) for x, y in points], fill=colour)


def _colour(values: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(values, 0, 255))
    return red, green, blue
