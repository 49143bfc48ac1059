"""What captions cost: classification with a store of 100,000 captions against image-only.

    python benchmarks/speed/classify.py --encoder DIR --pictures DIR --json

The pictures of a folder are classified (repeated up to --count) by image-only and by the guarded
mode, in turns, in one process, from files to predictions; `ratio_to_image_only` is the median over
the rounds of the ratio within a round. `speedup_vs_on_the_fly` compares the guarded mode with
encoding 16 captions a picture as the reference script does: pictures embedded, the same captions
retrieved, their texts through the text tower, on --fly pictures. Stores are made here: pictures
drawn near the given ones, captions near their picture, words at random. `memory_mb` is what a
search of a store of --large captions takes beyond mapped files, at its highest, against the
`stated_memory_mb` that neighbors/exact.py bounds. Prints JSON on stdout, progress on stderr. The
machine should be otherwise idle.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lagotto.core.types import Skipped
from lagotto.core.vectors import unit_rows
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.neighbors.exact import BLOCK_BYTES, CACHE_BYTES
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.images import embed_files, find_picture_files
from lagotto.zeroshot.retrieval import Retriever
from lagotto.zeroshot.types import Prediction
from lagotto.zeroshot.votes import caption_vote, image_vote
from provenance import provenance

CAPTIONS_PER_PICTURE = 5
K = 16
LABELS = ("person", "bird", "dog", "cat", "car", "boat", "flower", "fruit", "house", "tool")
WORDS = 1500
VOCABULARY = tuple(f"word{number}" for number in range(WORDS))


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class DrawnCaptions:
    """A caption store in memory maps, with CAPTIONS_PER_PICTURE captions a picture."""

    image_embeddings: np.ndarray
    text_embeddings: np.ndarray
    words: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        return np.arange(0, len(self.text_embeddings) + 1, CAPTIONS_PER_PICTURE)

    @property
    def ends(self) -> np.ndarray:
        return self.starts[1:]

    def texts(self, indices: Sequence[int]) -> list[str]:
        rows = self.words[np.asarray(indices, np.int64)].tolist()
        return [" ".join(VOCABULARY[word] for word in row) for row in rows]


def draw_store(folder: Path, centers: np.ndarray, captions: int, seed: int) -> DrawnCaptions:
    """Random pictures near the given embeddings, and random captions near their pictures."""
    rng = np.random.default_rng(seed)
    dim, pictures = centers.shape[1], captions // CAPTIONS_PER_PICTURE
    images = np.lib.format.open_memmap(folder / "i.npy", "w+", np.float16, (pictures, dim))
    texts = np.lib.format.open_memmap(folder / "t.npy", "w+", np.float16, (captions, dim))
    for start in range(0, pictures, 10_000):
        size = min(10_000, pictures - start)
        noise = rng.normal(0, 0.7 / np.sqrt(dim), (size, dim))
        block = unit_rows(centers[rng.integers(0, len(centers), size)] + noise)
        images[start : start + size] = block
        captions_block = np.repeat(block, CAPTIONS_PER_PICTURE, axis=0)
        captions_block = unit_rows(
            captions_block + rng.normal(0, 1 / np.sqrt(dim), captions_block.shape)
        )
        texts[start * CAPTIONS_PER_PICTURE : (start + size) * CAPTIONS_PER_PICTURE] = captions_block
    images.flush()
    texts.flush()
    return DrawnCaptions(
        np.load(folder / "i.npy", mmap_mode="r"),
        np.load(folder / "t.npy", mmap_mode="r"),
        rng.integers(0, WORDS, (captions, 6), dtype=np.uint16),
    )


def classify(classifier: ZeroShotClassifier, files: Sequence[Path]) -> list[Prediction]:
    rows = list(classifier.predict(files))
    unreadable = [row for row in rows if isinstance(row, Skipped)]
    if unreadable:
        sys.exit(f"{unreadable[0].source}: {unreadable[0].reason}")
    return [row for row in rows if isinstance(row, Prediction)]


def measure_seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def on_the_fly(
    encoder: Encoder,
    store: DrawnCaptions,
    retriever: Retriever,
    prompts: np.ndarray,
    files: list[Path],
) -> None:
    """The reference script's method: encode 16 captions of each picture at query time."""
    for batch in embed_files(encoder, files, 1):
        retrieved = retriever.retrieve(batch.embeddings, K)
        rows = encoder.embed_texts(store.texts(retrieved.indices[0].tolist()))[None]
        image_vote(batch.embeddings, prompts, encoder.info.logit_scale)
        caption_vote(rows, retrieved.present, prompts, encoder.info.logit_scale)


def anonymous_mb() -> float:
    """The anonymous memory of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def peak_memory_mb(work: Callable[[], object]) -> float:
    """The peak of anonymous memory that `work` adds, in MB, sampled while it runs."""
    before, highest, finished = anonymous_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not finished.wait(0.002):
            highest[0] = max(highest[0], anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    finished.set()
    watcher.join()
    return max(highest[0], anonymous_mb()) - before


def measure_large(options: argparse.Namespace, centers: np.ndarray) -> dict[str, object]:
    """Seconds and memory of 128 queries against a store of --large captions."""
    with tempfile.TemporaryDirectory() as folder:
        store = draw_store(Path(folder), centers, options.large, options.seed)
        queries = np.resize(centers, (128, centers.shape[1])).astype(np.float32)
        seconds: list[float] = []

        def search() -> None:
            retriever = Retriever(store)
            seconds.append(measure_seconds(lambda: retriever.retrieve(queries, K)))

        memory = peak_memory_mb(search)
    return {
        "captions": options.large,
        "queries": len(queries),
        "seconds": round(seconds[0], 3),
        "memory_mb": round(memory, 1),
        "stated_memory_mb": round((CACHE_BYTES + 4 * BLOCK_BYTES) / 2**20),
    }


def measure(options: argparse.Namespace) -> dict[str, object]:
    encoder = load_encoder(options.encoder)
    files = list(islice(cycle(find_picture_files([options.pictures]).files), options.count))
    fly_files = files[: options.fly]
    centers = np.concatenate([batch.embeddings for batch in embed_files(encoder, files[:500], 64)])
    with tempfile.TemporaryDirectory() as folder:
        store = draw_store(Path(folder), centers, options.captions, options.seed)
        guarded = ZeroShotClassifier(encoder, LABELS, store, mode="guarded", k=K)
        image_only = guarded.variant("image-only", K)
        log(f"{len(files)} pictures, {options.captions:,} captions; {guarded.notes}")
        classify(guarded, files[:128])
        rounds = []
        for number in range(options.rounds):
            first = measure_seconds(lambda: classify(image_only, files))
            second = measure_seconds(lambda: classify(guarded, files))
            rounds.append((first, second))
            log(f"round {number}: image-only {first:.2f} s, guarded {second:.2f} s")
        guarded_s = measure_seconds(lambda: classify(guarded, fly_files))
        retriever = Retriever(store)
        prompts = guarded.voting.prompts
        on_the_fly_s = measure_seconds(
            lambda: on_the_fly(encoder, store, retriever, prompts, fly_files)
        )
        log(
            f"{len(fly_files)} pictures: guarded {guarded_s:.2f} s, on the fly {on_the_fly_s:.2f} s"
        )
        votes = classify(guarded, fly_files)
        repeated = list(
            guarded.predict_embeddings(
                np.concatenate([b.embeddings for b in embed_files(encoder, fly_files, 7)]),
                [str(file) for file in fly_files],
            )
        )
    same = all(
        np.allclose(a.probabilities, b.probabilities, atol=1e-4)
        for a, b in zip(votes, repeated, strict=True)
    )
    if not same:
        sys.exit("predictions depend on the batch; the times mean nothing")
    return {
        "ratio_to_image_only": round(statistics.median(b / a for a, b in rounds), 4),
        "speedup_vs_on_the_fly": round(on_the_fly_s / guarded_s, 2),
        "pictures": len(files),
        "captions": options.captions,
        "asked_captions": sum(not row.declined for row in votes),
        "rounds_s": [[round(a, 3), round(b, 3)] for a, b in rounds],
        "on_the_fly": {
            "pictures": len(fly_files),
            "s": round(on_the_fly_s, 3),
            "guarded_s": round(guarded_s, 3),
        },
        "large_store": measure_large(options, centers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--captions", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--fly", type=int, default=100, help="pictures classified on the fly")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options) | {
        "seed": options.seed,
        "cores": len(os.sched_getaffinity(0)),
        **provenance(),
        "numpy": np.__version__,
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
