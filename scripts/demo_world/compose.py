"""Pictures of the demo world: emoji sprites, turned and scaled, on made backgrounds.

A picture is a pure function of (seed, stream, index, concepts), so any part of the world can be
made again alone. Nothing here comes from a photograph: only the font and numpy's generator.
"""

import dataclasses
import pathlib

import numpy as np
from concepts import Concept
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

FONT = pathlib.Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_SIZE = 109  # the one bitmap size in the font
COLOURS = {
    "red": (205, 60, 55),
    "orange": (235, 145, 50),
    "yellow": (240, 215, 90),
    "green": (90, 165, 85),
    "teal": (60, 155, 155),
    "blue": (75, 125, 210),
    "purple": (135, 90, 180),
    "pink": (240, 165, 190),
    "brown": (140, 100, 70),
    "grey": (150, 150, 150),
    "white": (240, 240, 238),
    "black": (40, 40, 45),
}
PATTERNS = ("plain", "gradient", "striped", "checked", "dotted", "cloudy", "grainy", "patchwork")
STREAMS = {"pool": 1, "probes": 2, "heldout": 3}
# Side of the dominant thing and of the others, as a share of the picture, by number of things.
SIDES = {
    1: ((0.50, 0.86), (0.5, 0.86)),
    2: ((0.46, 0.62), (0.38, 0.48)),
    3: ((0.44, 0.52), (0.36, 0.42)),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """One composed picture, what it shows (dominant thing first) and its background in words."""

    image: Image.Image
    concepts: tuple[int, ...]
    colour: str
    pattern: str


def generator(seed: int, stream: str, index: int) -> np.random.Generator:
    """The random generator of one picture, independent of all others."""
    return np.random.default_rng([seed, STREAMS[stream], index])


def draw_sprites(concepts: list[Concept]) -> list[Image.Image]:
    """Each concept's emoji on a transparent square, tightly cropped."""
    font = ImageFont.truetype(str(FONT), FONT_SIZE)
    sprites = []
    for concept in concepts:
        canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
        ImageDraw.Draw(canvas).text((10, 10), concept.emoji[0], font=font, embedded_color=True)
        box = canvas.getbbox()
        if box is None:
            raise ValueError(f"the font has no picture for {concept.name}")
        crop = canvas.crop(box)
        side = max(crop.size)
        square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        square.paste(crop, ((side - crop.width) // 2, (side - crop.height) // 2))
        sprites.append(square)
    return sprites


def draw_mask(rng: np.random.Generator, pattern: str, size: int) -> np.ndarray:
    """Where the second colour shows, 0..1, for one background pattern."""
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, np.pi)
    ramp = x * np.cos(angle) + y * np.sin(angle)
    if pattern == "gradient":
        return (ramp - ramp.min()) / np.ptp(ramp)
    if pattern == "striped":
        return (np.sin(ramp * rng.uniform(18, 50)) > rng.uniform(-0.4, 0.4)).astype(float)
    if pattern == "checked":
        across = y * np.cos(angle) - x * np.sin(angle)
        rate = rng.uniform(10, 28)
        return (np.sin(ramp * rate) * np.sin(across * rate) > 0).astype(float)
    if pattern == "dotted":
        pitch = rng.uniform(0.1, 0.25)
        distance = np.hypot((x % pitch) - pitch / 2, (y % pitch) - pitch / 2)
        return (distance < pitch * rng.uniform(0.2, 0.38)).astype(float)
    if pattern in ("cloudy", "patchwork"):
        cells = int(rng.integers(3, 7))
        coarse = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
        smooth = Image.Resampling.BICUBIC if pattern == "cloudy" else Image.Resampling.NEAREST
        return np.asarray(coarse.resize((size, size), smooth)) / 255.0
    if pattern == "grainy":
        return rng.random((size, size))
    return np.zeros((size, size))


def draw_background(rng: np.random.Generator, size: int) -> tuple[Image.Image, str, str]:
    """A background picture with the words for it: its colour and its pattern."""
    names = list(COLOURS)
    colour = names[int(rng.integers(len(names)))]
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    base = np.array(COLOURS[colour], float)
    other = np.array(COLOURS[names[int(rng.integers(len(names)))]], float)
    other = base + (other - base) * rng.uniform(0.15, 0.4)  # the first colour stays the main one
    mask = draw_mask(rng, pattern, size)[..., None]
    pixels = base * (1 - mask) + other * mask
    pixels = pixels * rng.uniform(0.8, 1.15) + rng.normal(0, rng.uniform(0, 6), (size, size, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), colour, pattern


def turn(rng: np.random.Generator, sprite: Image.Image, side: int) -> Image.Image:
    """The sprite mirrored, rotated, scaled to `side` pixels and re-lit at random."""
    if rng.random() < 0.5:
        sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    sprite = sprite.resize((side, side), Image.Resampling.LANCZOS)
    sprite = sprite.rotate(rng.uniform(-30, 30), Image.Resampling.BICUBIC, expand=True)
    alpha = sprite.getchannel("A")
    lit = ImageEnhance.Brightness(sprite.convert("RGB")).enhance(rng.uniform(0.8, 1.15))
    lit = ImageEnhance.Color(lit).enhance(rng.uniform(0.7, 1.25))
    lit.putalpha(alpha)
    return lit


def place(rng: np.random.Generator, sides: list[int], size: int) -> list[tuple[float, float]]:
    """Centres for squares of these sides, the least overlapping of a few random tries."""
    best, best_overlap = [], np.inf
    for _ in range(30):
        centres = [tuple(rng.uniform(side * 0.45, size - side * 0.45, 2)) for side in sides]
        overlap = 0.0
        for i in range(len(sides)):
            for j in range(i):
                reach = (sides[i] + sides[j]) / 2
                gap = np.abs(np.subtract(centres[i], centres[j]))
                overlap += float(np.prod(np.clip(reach - gap, 0, None)))
        if overlap < best_overlap:
            best, best_overlap = centres, overlap
    return best


def compose(
    rng: np.random.Generator, sprites: list[Image.Image], shown: tuple[int, ...], size: int
) -> Picture:
    """A picture of the concepts `shown`, the first one the largest and in front."""
    image, colour, pattern = draw_background(rng, size)
    main, others = SIDES[len(shown)]
    shares = [rng.uniform(*main)] + [rng.uniform(*others) for _ in shown[1:]]
    sides = [round(share * size) for share in shares]
    centres = place(rng, sides, size)
    for concept, side, (x, y) in reversed(list(zip(shown, sides, centres, strict=True))):
        sprite = turn(rng, sprites[concept], side)
        image.paste(sprite, (round(x - sprite.width / 2), round(y - sprite.height / 2)), sprite)
    return Picture(image, shown, colour, pattern)


def deal(
    rng: np.random.Generator, weights: np.ndarray, counts: np.ndarray
) -> list[tuple[int, ...]]:
    """For each picture, counts[i] different concepts; each concept dealt in proportion to weights.

    The concepts are dealt like cards from a shuffled pack, so all get nearly the same share.
    """
    total = int(counts.sum())
    copies = np.ceil(weights / weights.sum() * total).astype(int)
    pack = rng.permutation(np.repeat(np.arange(len(weights)), copies)).tolist()
    hands = []
    for count in counts:
        hand: list[int] = []
        while len(hand) < count:
            card = pack.pop() if pack else int(rng.choice(len(weights), p=weights / weights.sum()))
            if card not in hand:
                hand.append(card)
            else:
                pack.insert(int(rng.integers(len(pack) + 1)), card)
        hands.append(tuple(hand))
    return hands
