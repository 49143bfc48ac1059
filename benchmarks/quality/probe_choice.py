"""Is a probe set that was chosen better than a random one of its size? `lagotto probes make`.

    python benchmarks/quality/probe_choice.py --assets DIR --hub HUB --json \
        > benchmarks/results/quality_probe_choice.json

HUB has the models of DIR/hub on flickr8k, coco and imagenet1k-sample (2,239 probes; made where it
is not given). Of these, --size are kept: by the rule of `probes make`, by other rules, and at
random (--draws draws, and --draws-of-more of --more probes). Each set is the whole hub's:
descriptors are standardized on it again. Top-1 of the default rule, behaviour only, for texts of
the kinds imagenet and common. The rule was chosen on the even half (by the first byte of the sha256
of the text); the odd half is reported. Also told: what faces, text and unsafe pictures take away,
and the share of each collection. Asserted, odd half: the chosen set is not below any random one of
its size, and above --more random ones on average, for both kinds.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from lagotto.core.progress import Silent
from lagotto.core.types import JsonObject
from lagotto.core.vectors import unit_rows
from lagotto.evaluation.retrieval.logit_table import LogitTable, hub_table
from lagotto.evaluation.retrieval.queries import Queries, text_questions
from lagotto.evaluation.retrieval.rules import rules_of
from lagotto.evaluation.retrieval.scores import rank_queries
from lagotto.evaluation.retrieval.truth import read_truth
from lagotto.hub.curation.choose import choose_covering, describe_by_nouns
from lagotto.hub.curation.exclusion import find_exclusions
from lagotto.hub.hub import Hub
from lagotto.hub.query.probe_weights import ProbeSpace

sys.path.insert(0, str(Path(__file__).parents[1]))
from provenance import provenance

Rows: TypeAlias = Float[np.ndarray, "rows columns"]
KINDS = ("imagenet", "common")
HALVES = ("even", "odd")


def top1_of(table: LogitTable, questions: Sequence[Queries], rows: Sequence[int]) -> JsonObject:
    """Top-1 by kind and half, with these probes alone."""
    kept = np.sort(np.asarray(rows, dtype=np.int64))
    part = table.on_probes(kept)
    rule = rules_of(part, 50, behaviour_only=True)[0]
    found: JsonObject = {}
    for asked in questions:
        ranking = rank_queries(part, asked.on_probes(kept), rule).top1
        found[asked.kind] = {
            half: round(float(ranking[_mask(asked, half)].mean()), 4) for half in HALVES
        }
    return found


def _mask(asked: Queries, half: str) -> np.ndarray:
    wanted = HALVES.index(half)
    return np.array([sha256(n.encode()).digest()[0] % 2 == wanted for n in asked.names])


def other_rules(space: ProbeSpace, size: int) -> dict[str, list[int]]:
    """Other ways to choose, which need the embeddings and the common nouns alone."""
    centred = unit_rows(space.probes - space.probes.mean(axis=0))
    logs = space.logit_scale * space.background_cosines - space.background_scores[0]
    probabilities = np.exp(logs)
    purity = (probabilities * logs).sum(axis=0)
    shares = (np.argsort(np.argsort(purity, kind="stable")) + 1) / len(purity)
    picked = np.unique(logs.argmax(axis=1))  # the surest picture of each noun
    surest = sorted(picked.tolist(), key=lambda row: -logs[:, row].max())
    weight = shares * np.where(np.isin(np.arange(len(shares)), picked), 1.5, 1.0)
    everywhere = np.ones(len(shares))
    cosines = space.background_cosines.T
    standard = (cosines - cosines.mean(axis=0)) / cosines.std(axis=0)
    return {
        "farthest first": farthest_first(centred, everywhere, int(purity.argmax()), size),
        "farthest first, pure and surest pictures preferred": farthest_first(
            centred, weight, int(weight.argmax()), size
        ),
        "purest": np.argsort(-purity, kind="stable")[:size].tolist(),
        "the surest picture of each noun, surest nouns first": surest[:size],
        "most of each noun's highest probability": facility_location(probabilities, size),
        "most of each picture's highest cosine": facility_location(centred @ centred.T, size),
        "D-optimal on centred embeddings": d_optimal(
            space.probes - space.probes.mean(axis=0), size, 10.0
        ),
        "D-optimal on standardized cosines of nouns": d_optimal(
            standard / np.sqrt(standard.shape[1]), size, 10.0
        ),
        "determinantal, sharp probabilities of nouns": d_optimal(
            np.sqrt(probabilities.T), size, 1e6
        ),
        "medoids of as many clusters, by nouns": medoids(describe_by_nouns(space), size),
    }


def farthest_first(unit: Rows, weight: np.ndarray, first: int, size: int) -> list[int]:
    """Each picture the one farthest from all before, by its weight."""
    distance, chosen = np.full(len(unit), 2.0), [first]
    while len(chosen) < size:
        distance = np.minimum(distance, 1 - unit @ unit[chosen[-1]])
        value = distance * weight
        value[chosen] = -1
        chosen.append(int(value.argmax()))
    return chosen


def facility_location(values: Rows, size: int) -> list[int]:
    """Columns of which the highest values of all rows have the greatest sum, greedily."""
    highest, chosen = np.zeros((len(values), 1)), list[int]()
    while len(chosen) < size:
        gains = np.maximum(values - highest, 0).sum(axis=0)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        highest = np.maximum(highest, values[:, chosen[-1:]])
    return chosen


def d_optimal(features: Rows, size: int, strength: float) -> list[int]:
    """Rows with the greatest determinant of I + strength F'F, greedily."""
    rows = np.asarray(features, dtype=np.float64)
    left, chosen = strength * np.square(rows).sum(axis=1), list[int]()
    inverse = strength * np.eye(rows.shape[1])
    while len(chosen) < size:
        chosen.append(int(left.argmax()))
        told = inverse @ rows[chosen[-1]]
        told /= np.sqrt(1 + rows[chosen[-1]] @ told)
        inverse -= np.outer(told, told)
        left -= np.square(rows @ told)
        left[chosen] = -np.inf
    return chosen


def medoids(unit: Rows, size: int) -> list[int]:
    """The picture nearest to the middle of each of so many clusters."""
    rng = np.random.default_rng(0)
    middles = unit[rng.choice(len(unit), size, replace=False)]
    for _ in range(10):
        cluster = (unit @ middles.T).argmax(axis=1)
        sums = np.zeros_like(middles)
        np.add.at(sums, cluster, unit)
        middles = unit_rows(np.where(sums.any(axis=1, keepdims=True), sums, middles))
    return list(dict.fromkeys((unit @ middles.T).argmax(axis=0).tolist()))


def collections(table: LogitTable, rows: Sequence[int]) -> JsonObject:
    """How many of some probes are of each collection."""
    names = [table.sources[row] for row in rows]
    return {name: names.count(name) for name in dict.fromkeys(table.sources)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--more", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--draws-of-more", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = str(options.assets / "encoder" / "photo-lit")
    with tempfile.TemporaryDirectory() as temporary:
        if options.hub is None:
            photos = options.assets / "photos"
            probes = [photos / name for name in ("flickr8k", "coco", "imagenet1k-sample")]
            hub = Hub.create(Path(temporary) / "hub", probes, encoder)
            hub.add([options.assets / "hub"])
        else:
            hub = Hub.open(options.hub, encoder)
        result = measure(hub, options)
    print(json.dumps(result, indent=1) if options.json else result)


def measure(hub: Hub, options: argparse.Namespace) -> JsonObject:
    """All figures of one hub."""
    table = hub_table(hub)
    truth = read_truth(options.assets / "hub" / "truth.json")
    asked = text_questions(table, [t for t in truth if t.kind in KINDS], hub.encoder).questions
    count, space = len(table.embeddings), table.space
    reasons = find_exclusions(space, hub.encoder)
    allowed = np.array([not reason for reason in reasons.reasons])
    chosen = choose_covering(space, allowed, options.size, Silent())
    freely = choose_covering(space, np.ones(count, dtype=bool), options.size, Silent())
    sets = {
        "probes make": list(chosen.chosen),
        "probes make, nothing left out": list(freely.chosen),
        **other_rules(space, options.size),
        "all": list(range(count)),
    }
    rows: JsonObject = {}
    for name, picked in sets.items():
        rows[name] = {
            "probes": len(picked),
            "top1": top1_of(table, asked, picked),
            "collections": collections(table, picked),
        }
        print(name, rows[name], file=sys.stderr, flush=True)
    draws: JsonObject = {}
    for size, times in ((options.size, options.draws), (options.more, options.draws_of_more)):
        found = []
        for seed in range(times):
            picked = np.random.default_rng(seed).choice(count, size, replace=False).tolist()
            found.append(top1_of(table, asked, picked))
            print("random", size, seed, found[-1], file=sys.stderr, flush=True)
        draws[str(size)] = _summary(found)
    for kind in KINDS:
        ours = rows["probes make"]["top1"][kind]["odd"]  # type: ignore[call-overload,index]
        same = draws[str(options.size)][kind]["odd"]  # type: ignore[call-overload,index]
        more = draws[str(options.more)][kind]["odd"]  # type: ignore[call-overload,index]
        assert ours > more["mean"], (kind, ours, more)
        assert ours >= same["highest"], (kind, ours, same)
    return {
        **provenance(),
        "what": "Top-1 by text of sets of probes, default rule, behaviour only",
        "models": len(table.models),
        "logits": len(table.labels),
        "queries": {each.kind: len(each) for each in asked},
        "size": options.size,
        "draws": options.draws,
        "draws_of_more": options.draws_of_more,
        "left_out": {**reasons.counts()},
        "near_repeats": chosen.repeats,
        "sets": rows,
        "random": draws,
    }


def _summary(found: Sequence[JsonObject]) -> JsonObject:
    """Mean, lowest and highest over the draws, by kind and half."""
    summary: JsonObject = {}
    for kind in found[0]:
        by_half: JsonObject = {}
        for half in HALVES:
            values = [float(one[kind][half]) for one in found]  # type: ignore[index,call-overload,arg-type]
            by_half[half] = {
                "mean": round(float(np.mean(values)), 4),
                "lowest": min(values),
                "highest": max(values),
            }
        summary[kind] = by_half
    return summary


if __name__ == "__main__":
    main()
