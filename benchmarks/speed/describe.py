"""Time to describe a model of 1,000 outputs with 10,000 names.

    python benchmarks/speed/describe.py --assets DIR --hub HUB --json

HUB holds DIR/hub's ImageNet models, on any probes. The names are pairs of the shipped words. Three
times are told: `first_s` with the names unread (their embedding included, which is kept in the
hub's cache), `again_s` (median of --rounds) with them in the cache, and `paper_s`, the paper's rule
in reverse from the same embeddings: a distance of each name to each output. The answer is checked:
all runs propose the same names. `least_first_s` is what the matrix products of the text tower alone
take, at the rate that numpy's have here: no code that runs this tower in float32 reads the names
sooner.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from itertools import islice, product
from pathlib import Path
from statistics import median

import numpy as np
import onnx

from lagotto.encoders.background.words import background_words
from lagotto.hub.hub import Hub
from lagotto.hub.labels.describe import describe_model
from lagotto.hub.labels.encode import LabelEncoder
from lagotto.hub.query.vectors import query_from_embedding, top_k_probes

MODEL = "coral-mobilenet-v1-025-128"
K = 50


def tower_weights(path: Path) -> int:
    """Numbers of a text tower that each token is multiplied by: its products' constant tables."""
    graph = onnx.load(path).graph
    tables = {each.name: tuple(each.dims) for each in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    total = 0
    for node in graph.node:
        if node.op_type == "MatMul":
            name = node.input[1]
            while name not in tables and name in makers:  # unpacked from fewer bits
                name = makers[name].input[0]
            shape = tables.get(name, ())
            total += int(np.prod(shape)) if len(shape) == 2 else 0
    return total


def product_rate(rows: int, inner: int, columns: int) -> float:
    """Multiplications and additions a second of a float32 product, the best of several."""
    left, right = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    times = []
    for _ in range(50):
        started = time.perf_counter()
        np.matmul(left, right)
        times.append(time.perf_counter() - started)
    return 2 * rows * inner * columns / min(times)


def main() -> None:
    """Measures, and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    words = background_words()
    names = [f"{one} {other}" for one, other in islice(product(words[:100], words), options.names)]
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(options.hub, Path(folder) / "hub")
        hub = Hub.open(copy, str(options.assets / "encoder" / "photo-lit"))
        known = hub.reader.responses_of(MODEL)
        describe_model(hub.reader, known)  # the encoder is loaded, the shipped words are read
        times, answers = [], []
        for _ in range(options.rounds + 1):
            started = time.perf_counter()
            found = describe_model(hub.reader, known, names)
            times.append(time.perf_counter() - started)
            answers.append([logit.name for logit in found.logits])
        assert all(answer == answers[0] for answer in answers)
        concepts = LabelEncoder(hub.reader).read(names).embeddings
        started = time.perf_counter()
        descriptors = np.stack(
            [hub.reader.descriptor(MODEL, i) for i in range(known.values.shape[1])], 1
        )
        paper = np.empty((len(names), descriptors.shape[1]), np.float32)
        for row, concept in enumerate(concepts):
            query = query_from_embedding(concept, hub.reader.probe_embeddings)
            probes = top_k_probes(query, K)
            paper[row] = ((descriptors[probes] - query[probes, None]) ** 2).sum(axis=0)
        paper_s = time.perf_counter() - started
        template = hub.encoder.info.prompt_template
        tokens = sum(hub.encoder.token_counts([template.replace("{}", name) for name in names]))
        weights = tower_weights(options.assets / "encoder" / "photo-lit" / "text_model.onnx")
        rate = product_rate(2048, 384, 1536)
        found_json = {
            "names": len(names),
            "outputs": known.values.shape[1],
            "probes": len(hub.probes),
            "first_s": round(times[0], 3),
            "again_s": round(median(times[1:]), 3),
            "paper_s": round(paper_s, 3),
            "tokens": tokens,
            "tower_weights": weights,
            "product_gflops": round(rate / 1e9, 1),
            "least_first_s": round(2 * weights * tokens / rate, 3),
            "rounds": options.rounds,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
    json.dump(found_json, sys.stdout, indent=1 if options.json else None)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
