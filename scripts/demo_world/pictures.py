"""Makes the world's pictures: the training pool, the probes and the held-out set.

python pictures.py pool WORK      WORK/pool_*: training pictures at 64 px, never shipped
python pictures.py shipped WORLD  WORLD/probes.parquet and WORLD/heldout.parquet
"""

import argparse
import io
import json
import multiprocessing
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from captions import write_caption
from compose import compose, deal, draw_sprites, generator
from concepts import Concept, list_concepts
from PIL import Image

SEED = 20250216
SIZE = 112
POOL_SIZE = 64
POOL_PICTURES = 44_000
PROBES = 640
HELDOUT_PER_CONCEPT = 2
WEBP_QUALITY = 82

_sprites: list[Image.Image] = []


def _start() -> None:
    _sprites.extend(draw_sprites(list_concepts()))


def _make_pool_picture(task: tuple[int, int, tuple[int, ...]]) -> tuple[np.ndarray, str, str]:
    seed, index, shown = task
    picture = compose(generator(seed, "pool", index), _sprites, shown, SIZE)
    small = picture.image.resize((POOL_SIZE, POOL_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(small), picture.colour, picture.pattern


def make_pool(work: pathlib.Path, seed: int, pictures: int, processes: int) -> None:
    """Training pictures (uint8), their concepts (-1 padded, dominant first) and backgrounds."""
    rng = np.random.default_rng([seed, 10])
    counts = rng.choice([1, 2, 3], size=pictures, p=[0.3, 0.4, 0.3])
    hands = deal(rng, np.ones(len(list_concepts())), counts)
    images = np.empty((pictures, POOL_SIZE, POOL_SIZE, 3), np.uint8)
    backgrounds = []
    tasks = [(seed, index, hand) for index, hand in enumerate(hands)]
    with multiprocessing.Pool(processes, _start) as workers:
        made = workers.imap(_make_pool_picture, tasks, chunksize=200)
        for index, (pixels, colour, pattern) in enumerate(made):
            images[index] = pixels
            backgrounds.append((colour, pattern))
    concepts = np.full((pictures, 3), -1, np.int16)
    for index, hand in enumerate(hands):
        concepts[index, : len(hand)] = hand
    np.save(work / "pool_images.npy", images)
    np.save(work / "pool_concepts.npy", concepts)
    (work / "pool_backgrounds.json").write_text(json.dumps(backgrounds), encoding="utf-8")


def encode(image: Image.Image) -> bytes:
    """The picture as WebP bytes."""
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=WEBP_QUALITY, method=6)
    return stream.getvalue()


def deal_probes(seed: int, concepts: int, count: int) -> list[tuple[int, ...]]:
    """What each probe shows: 1 to 3 concepts, dealt evenly, the dominant one first."""
    rng = np.random.default_rng([seed, 11])
    counts = rng.choice([1, 2, 3], size=count, p=[0.2, 0.45, 0.35])
    return deal(rng, np.ones(concepts), counts)


def make_probes(world: pathlib.Path, concepts: list[Concept], seed: int, count: int) -> None:
    """probes.parquet: image, path, caption (a list of two)."""
    sprites = draw_sprites(concepts)
    rows: dict[str, list[object]] = {"image": [], "path": [], "caption": []}
    for index, hand in enumerate(deal_probes(seed, len(concepts), count)):
        picture_rng = generator(seed, "probes", index)
        picture = compose(picture_rng, sprites, hand, SIZE)
        shown = [concepts[concept] for concept in hand]
        described = (picture.colour, picture.pattern)
        rows["image"].append(encode(picture.image))
        rows["path"].append(f"probe_{index:04d}.webp")
        rows["caption"].append(
            [write_caption(picture_rng, shown, *described, share) for share in (0.0, 0.3)]
        )
    write_table(world / "probes.parquet", rows)


def make_heldout(world: pathlib.Path, concepts: list[Concept], seed: int) -> None:
    """heldout.parquet: image, path, label, caption; one concept a picture."""
    sprites = draw_sprites(concepts)
    rows: dict[str, list[object]] = {"image": [], "path": [], "label": [], "caption": []}
    for index in range(len(concepts) * HELDOUT_PER_CONCEPT):
        concept = index % len(concepts)
        picture_rng = generator(seed, "heldout", index)
        picture = compose(picture_rng, sprites, (concept,), SIZE)
        described = (picture.colour, picture.pattern)
        rows["image"].append(encode(picture.image))
        rows["path"].append(f"heldout_{index:04d}.webp")
        rows["label"].append(concepts[concept].name)
        rows["caption"].append(write_caption(picture_rng, [concepts[concept]], *described, 0.0))
    write_table(world / "heldout.parquet", rows)


def write_table(path: pathlib.Path, rows: dict[str, list[object]]) -> None:
    """One parquet file; the pictures are compressed already."""
    pq.write_table(pa.table(rows), path, compression="zstd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["pool", "shipped"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.what == "pool":
        make_pool(options.folder, options.seed, POOL_PICTURES, options.processes)
    else:
        make_probes(options.folder, list_concepts(), options.seed, PROBES)
        make_heldout(options.folder, list_concepts(), options.seed)


if __name__ == "__main__":
    main()
