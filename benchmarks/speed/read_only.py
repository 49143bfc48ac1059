"""Text queries on a hub of many labelled models: the worst beside the median, and what they write.

    python benchmarks/speed/read_only.py --json > benchmarks/results/speed_read_only.json

The hub is made through the store's own code: the demo's probes and encoder, and for each model the
responses of a head for 20 words of the background vocabulary, that is the encoder's cosines with
noise. Of ten label lists one is shifted by one and one is of words that its outputs do not know.
The hub is audited as `lagotto audit --all` does it. Then --queries different texts, each asked once
after one other query has opened the hub, are timed; and asked again of a copy that may not be
written to. All answers must be equal byte for byte as JSON, and every file of both hubs must be as
it was: name, bytes, time of change.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

import lagotto
from lagotto.demo.bundled import DEMO_ENCODER, PROBES
from lagotto.encoders.background.words import background_words
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.segments import rebuild_blocks
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.records import Listing, ModelFacts
from lagotto.hub.store.responses import ResponsesHeader, write_responses

NOISE = 0.7
"""Of a head's responses, beside the standardised cosines of its word."""

ADJECTIVES = ("old", "small", "red", "wooden")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_hub(folder: Path, models: int, outputs: int, seed: int) -> Hub:
    """A hub of heads for words, each word in about models * outputs / 1,400 lists."""
    hub = Hub.create(folder, PROBES, str(DEMO_ENCODER))
    rng = np.random.default_rng(seed)
    words = np.array(background_words())
    signals = hub.reader.space.background @ hub.reader.probe_embeddings.T
    signals = (signals - signals.mean(axis=1, keepdims=True)) / signals.std(axis=1, keepdims=True)
    layout, names = HubLayout(folder), [f"model_{number:04d}" for number in range(models)]
    digests = [sha256(name.encode()).hexdigest() for name in names]
    facts = ModelFacts("onnx", outputs, "logits", "raw", {}, (), None, ("",) * outputs, "")
    with Catalog(layout.catalogue, writable=True) as catalogue:
        listings = [Listing(d, n, f"/made/{n}.onnx") for d, n in zip(digests, names, strict=True)]
        catalogue.plan(listings)
        for number, digest in enumerate(digests):
            rows = rng.choice(len(words), outputs, replace=False)
            labels = np.roll(rows, 1) if number % 10 == 3 else rows
            known = 0.0 if number % 10 == 7 else 1.0
            noise = rng.normal(size=(len(hub.probes), outputs))
            values = rng.uniform(1, 5, outputs) * (known * signals[rows].T + NOISE * noise)
            checksum = write_responses(
                layout.responses_of(digest),
                values.astype(np.float32),
                ResponsesHeader(digest, hub.probe_digest, "onnx", "raw"),
            )
            published = tuple(words[labels].tolist())
            catalogue.record_done(
                digest, replace(facts, labels=published, responses_sha256=checksum)
            )
        rebuild_blocks(layout, catalogue, hub.probe_digest)
    return Hub.open(folder)


def draw_queries(count: int, seed: int) -> list[str]:
    """Different texts in a drawn order: words of label lists, and phrases that hold such a word."""
    rng = np.random.default_rng(seed)
    words = rng.permutation(background_words()).tolist()[:count]
    return [
        f"{ADJECTIVES[number % 4]} {word}" if number % 3 == 2 else word
        for number, word in enumerate(words)
    ]


def ask_all(hub: Hub, queries: list[str]) -> tuple[list[bytes], list[float], list[float]]:
    """The hits of each query as JSON, and its milliseconds: elapsed, and of processor time."""
    answers, elapsed, processor = [], [], []
    hub.search("opening")
    for text in queries:
        begin = time.perf_counter(), time.process_time()
        hits = hub.search(text)
        elapsed.append((time.perf_counter() - begin[0]) * 1e3)
        processor.append((time.process_time() - begin[1]) * 1e3)
        answers.append(replace(hits, hub="", elapsed_s=None).to_json().encode())
    return answers, elapsed, processor


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder: its time of change, and a digest of its bytes."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in (folder, *sorted(folder.rglob("*")))
    }


def lock_folder(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    hub = make_hub(folder / "hub", options.models, options.outputs, options.seed)
    begin = time.perf_counter()
    audits = hub.audit_labels()
    audited = time.perf_counter() - begin
    say(f"audited {len(audits)} lists in {audited:.1f} s")
    copy = shutil.copytree(hub.folder, folder / "copy")
    lock_folder(copy)
    before = snapshot(hub.folder), snapshot(copy)
    queries = draw_queries(options.queries, options.seed)
    answers, times, processor = ask_all(Hub.open(hub.folder), queries)
    again = ask_all(Hub.open(copy), queries)[0]
    after = snapshot(hub.folder), snapshot(copy)
    changed = sum(
        old.get(path) != new.get(path)
        for old, new in zip(before, after, strict=True)
        for path in {*old, *new}
    )
    median, worst = float(np.median(times)), max(times)
    verdicts = [audit.verdict for audit in audits]
    assert answers == again, "the read-only copy gave another answer"
    assert not changed, f"{changed} files were changed by searches"
    return {
        "models": options.models,
        "outputs": options.outputs,
        "queries": len(queries),
        "median_ms": round(median, 2),
        "worst_ms": round(worst, 2),
        "ratio": round(worst / median, 2),
        "median_cpu_ms": round(float(np.median(processor)), 2),
        "worst_cpu_ms": round(max(processor), 2),
        "worst_query": queries[int(np.argmax(times))],
        "equal_read_only": answers == again,
        "files_changed": changed,
        "audit_all_s": round(audited, 2),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        "probes": len(hub.probes),
        "seed": options.seed,
        "cores": len(os.sched_getaffinity(0)),
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def main() -> None:
    """Measures, and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--outputs", type=int, default=20)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(options, Path(folder))
    print(json.dumps(report, indent=1) if options.json else report)


if __name__ == "__main__":
    main()
