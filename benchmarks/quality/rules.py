"""Which way of scoring logits for a text is best: the ablation behind the default rule.

    python benchmarks/quality/rules.py --assets DIR --json > benchmarks/results/quality_rules.json

Every variant answers the same texts in four worlds: all models of DIR/hub (kinds imagenet and
common of truth.json) and the heads of DIR/inet-mini-hub, each on the captioned photos alone and
with one ImageNet photo a class among the probes. Texts are split by the first byte of the sha256 of
the text: even ones were used to choose ("chosen on"), odd ones are reported. Ceilings: the class's
own photo is named to the rule. Hubs are built, or given by --hub and --hub-inet.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

import lagotto
from lagotto.core.vectors import unit_rows
from lagotto.core.zscore import zscore_by_sample
from lagotto.encoders.background.words import embed_background
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.intervals import mean_interval
from lagotto.evaluation.retrieval.batch_rules import default_scores, paper_scores
from lagotto.evaluation.retrieval.logit_table import (
    LogitTable,
    hub_table,
    responses_table,
)
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.evaluation.retrieval.truth import read_truth
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.hub import Hub
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    sample_columns,
)
from lagotto.hub.query.probe_weights import (
    PROBE_WEIGHTS,
    ProbeSpace,
    text_weights,
    top_k_weights,
)

Variant = Callable[["World", np.ndarray], np.ndarray]


@dataclass(frozen=True)
class World:
    """A table of logits, where its probes are, and what the texts are about.

    `captions` has (probe, unit embedding) of every caption that a probe carries.
    """

    name: str
    table: LogitTable
    space: ProbeSpace
    captions: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """Texts of one kind, with the columns that answer each."""

    kind: str
    texts: list[str]
    correct: list[np.ndarray]

    def half(self, odd: bool) -> "Asked":
        places = [i for i, text in enumerate(self.texts) if is_odd(text) == odd]
        return Asked(self.kind, [self.texts[i] for i in places], [self.correct[i] for i in places])


def is_odd(text: str) -> bool:
    return sha256(text.encode()).digest()[0] % 2 == 1


def standard(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)


def shares(rows: np.ndarray) -> np.ndarray:
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def sharp(rows: np.ndarray, power: float = 2.0) -> np.ndarray:
    return shares(np.exp(power * (rows - rows.max(axis=1, keepdims=True))))


def broad(rows: np.ndarray) -> np.ndarray:
    return shares(np.maximum(rows, 0) ** PROBE_WEIGHTS.breadth)


def cosines(world: World, concepts: np.ndarray) -> np.ndarray:
    return standard(concepts @ world.space.probes.T)


def posterior(world: World, concepts: np.ndarray, softened: bool = False) -> np.ndarray:
    return standard(world.space.log_posterior(concepts, softened=softened))


def both(world: World, concepts: np.ndarray) -> np.ndarray:
    return text_weights(world.space, concepts)


def with_captions(share: float) -> Variant:
    """The posterior of a probe mixed with the mean posterior of its captions (X-MoRe's vote)."""

    def score(world: World, concepts: np.ndarray) -> np.ndarray:
        probes, embeddings = world.captions
        image = np.exp(world.space.log_posterior(concepts))
        told = np.exp(replace(world.space, probes=embeddings).log_posterior(concepts))
        mixed, counts = image.copy(), np.bincount(probes, minlength=image.shape[1])
        sums = np.zeros_like(image)
        np.add.at(sums.T, probes, told.T)
        has = counts > 0
        mixed[:, has] = (1 - share) * image[:, has] + share * sums[:, has] / counts[has]
        told_sharp = sharp(standard(np.log(mixed + 1e-12)))
        weights = (told_sharp + broad(posterior(world, concepts, softened=True))) / 2
        return weights @ world.table.descriptors

    return score


def fed_back(world: World, concepts: np.ndarray) -> np.ndarray:
    """Pseudo-relevance feedback: the concept moved towards the probes that show it."""
    moved = concepts + 0.3 * both(world, concepts) @ world.space.probes
    return both(world, unit_rows(moved)) @ world.table.descriptors


def corrected(how: str) -> Variant:
    """Hubness corrections by the background words' scores of each logit."""

    def score(world: World, concepts: np.ndarray) -> np.ndarray:
        own = both(world, concepts) @ world.table.descriptors
        others = both(world, world.space.background) @ world.table.descriptors
        if how == "z-score":
            return (own - others.mean(axis=0)) / np.maximum(others.std(axis=0), 1e-9)
        count = 10 if how == "CSLS" else 64
        near = np.sort(others, axis=0)[-count:].mean(axis=0)
        return 2 * own - near if how == "CSLS" else own - 0.5 * near

    return score


def centred(world: World, concepts: np.ndarray) -> np.ndarray:
    """Responses centred per probe over the classes of their model, then standardised."""
    table = world.table
    parts = np.split(table.raw, table.firsts[1:].tolist(), axis=1)
    columns = np.concatenate([part - part.mean(axis=1, keepdims=True) for part in parts], axis=1)
    spread = columns.std(axis=0)
    columns = (columns - columns.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)
    return both(world, concepts) @ columns.astype(np.float32)


def ranked(world: World) -> np.ndarray:
    """Descriptors replaced by the Savage scores of their ranks."""
    ranks = np.argsort(np.argsort(world.table.descriptors, axis=0), axis=0)
    columns = -np.log1p(-(ranks + 0.5) / len(ranks))
    return ((columns - columns.mean(axis=0)) / columns.std(axis=0)).astype(np.float32)


def by_rank(world: World, concepts: np.ndarray) -> np.ndarray:
    return both(world, concepts) @ ranked(world)


def standardised_weights(world: World, concepts: np.ndarray) -> np.ndarray:
    """Both weights, the sharp one by the posterior's standing among the probes."""
    return (
        sharp(posterior(world, concepts)) + broad(posterior(world, concepts, softened=True))
    ) / 2


def with_direction(
    share: float,
    descriptors: Callable[["World"], np.ndarray],
    weights: Callable[["World", np.ndarray], np.ndarray] = both,
) -> Variant:
    """The default rule on other descriptors, with other weights or another share."""

    def score(world: World, concepts: np.ndarray) -> np.ndarray:
        columns = descriptors(world)
        rows = top_k_weights(weights(world, concepts), SEARCH_CONFIG.k)
        directions = project(projector(world.space.probes), columns)
        along = (concepts - world.space.background_mean) @ directions.T
        sample = sample_columns(np.arange(columns.shape[1]))
        return zscore_by_sample(rows @ columns, sample) + share * zscore_by_sample(along, sample)

    return score


def confident(world: World, concepts: np.ndarray) -> np.ndarray:
    """Probes weighed by X-MoRe's confidence of the encoder on them, too."""
    logits = world.space.logit_scale * world.space.background_cosines
    shown = np.exp(logits - logits.max(axis=0))
    shown /= shown.sum(axis=0)
    confidence = 1 + (shown * np.log(shown + 1e-12)).sum(axis=0) / np.log(len(shown))
    return shares(both(world, concepts) * confidence) @ world.table.descriptors


def both_ways(world: World, concepts: np.ndarray) -> np.ndarray:
    """The probes that the logit is surest of are asked for the concept, too."""
    raised = np.exp(2.5 * (world.table.descriptors - world.table.descriptors.max(axis=0)))
    raised /= raised.sum(axis=0)
    there = both(world, concepts) @ world.table.descriptors
    back = posterior(world, concepts) @ raised
    return standard(there) + 0.5 * standard(back)


def direction_alone(world: World, concepts: np.ndarray) -> np.ndarray:
    directions = project(projector(world.space.probes), world.table.descriptors)
    return (concepts - world.space.background_mean) @ directions.T


def linear(weights: Callable[[World, np.ndarray], np.ndarray], k: int | None = None) -> Variant:
    def score(world: World, concepts: np.ndarray) -> np.ndarray:
        rows = weights(world, concepts)
        if k is not None:
            rows = top_k_weights(rows, k)
        return rows @ world.table.descriptors

    return score


VARIANTS: dict[str, Variant] = {
    "paper, k = 50": lambda w, c: paper_scores(w.space, c, w.table.descriptors),
    "paper, k = 20": lambda w, c: paper_scores(w.space, c, w.table.descriptors, 20),
    "cosine, smooth weights": linear(lambda w, c: broad(cosines(w, c))),
    "posterior itself": linear(lambda w, c: sharp(w.space.log_posterior(c), 1.0)),
    "posterior, standardised, e to its double": linear(lambda w, c: sharp(posterior(w, c))),
    "posterior, broad weights": linear(lambda w, c: broad(posterior(w, c, softened=True))),
    "both weights": linear(both),
    "both weights, k = 50": linear(both, SEARCH_CONFIG.k),
    "direction alone": direction_alone,
    "both weights and direction": with_direction(0.5, lambda w: w.table.descriptors),
    "the same, the posterior standardised": with_direction(
        0.5, lambda w: w.table.descriptors, standardised_weights
    ),
    "both weights and direction, by rank": with_direction(0.5, ranked),
    "both weights and direction, blended (default)": lambda w, c: default_scores(
        w.space, c, w.table.descriptors
    ),
    "default, direction's share 0.3": with_direction(0.3, lambda w: blend(w.table.descriptors)),
    "default, direction's share 0.7": with_direction(0.7, lambda w: blend(w.table.descriptors)),
    "default, k = 20": lambda w, c: default_scores(w.space, c, w.table.descriptors, 20),
    "default, k = 200": lambda w, c: default_scores(w.space, c, w.table.descriptors, 200),
    "both weights, hubness by z-score": corrected("z-score"),
    "both weights, hubness by CSLS": corrected("CSLS"),
    "both weights, hubness by NNN": corrected("NNN"),
    "both weights, captions' share 0.2": with_captions(0.2),
    "both weights, captions' share 0.5": with_captions(0.5),
    "both weights, feedback of probes": fed_back,
    "both weights, responses centred over classes": centred,
    "both weights, descriptors by rank": by_rank,
    "both weights, probes by confidence": confident,
    "both weights, and back from the logit": both_ways,
}


def measure(world: World, asked: Asked, concepts: np.ndarray) -> dict[str, object]:
    """Top-1 with its interval and Top-5 of every variant, paired with the paper's rule."""
    rows: dict[str, object] = {}
    reference: np.ndarray | None = None
    for name, variant in VARIANTS.items():
        first, five = hits(variant(world, concepts), asked.correct)
        reference = first if reference is None else reference
        top1, gain = mean_interval(first), mean_interval(first - reference)
        rows[name] = {
            "top1": round(top1.value, 4),
            "top1_ci95": [round(top1.low, 4), round(top1.high, 4)],
            "top5": round(float(five.mean()), 4),
            "to_paper": round(gain.value, 4),
            "to_paper_ci95": [round(gain.low, 4), round(gain.high, 4)],
        }
    return {"queries": len(asked.texts), "rows": rows}


def hits(scores: np.ndarray, correct: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Whether a right logit is first, and among the first five; flawed columns do not count."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    found = [np.isin(row, good) for row, good in zip(best, correct, strict=True)]
    return np.array([r[0] for r in found], float), np.array([r.any() for r in found], float)


def ceilings(world: World, asked: Asked, concepts: np.ndarray) -> dict[str, float]:
    """Top-1 where the rule is told which probe is the class's own photo (probes 1,239 and on)."""
    weights = both(world, concepts)
    classes = [column_class(world, good) for good in asked.correct]
    places = np.array([i for i, found in enumerate(classes) if found is not None])
    told = np.zeros_like(weights[places])
    own = [len(weights[0]) - 1000 + int(classes[i] or 0) for i in places.tolist()]
    told[np.arange(len(places)), own] = 1
    correct = [asked.correct[i] for i in places.tolist()]
    sample = sample_columns(np.arange(len(world.table.labels)))
    raised = blend(world.table.descriptors)
    directions = project(projector(world.space.probes), raised)
    along = (concepts[places] - world.space.background_mean) @ directions.T
    along = zscore_by_sample(along, sample)
    found: dict[str, float] = {"queries": len(places)}
    for share in (0.0, 0.25, 0.5, 1.0):
        mixed = (share * told + (1 - share) * weights[places]) @ raised
        total = zscore_by_sample(mixed, sample) + 0.5 * along
        found[f"own photo's share {share:g}"] = round(float(hits(total, correct)[0].mean()), 4)
    top = posterior(world, concepts[places]).argmax(axis=1)
    found["own photo is the surest probe"] = round(float((top == np.array(own)).mean()), 4)
    return found


def column_class(world: World, good: np.ndarray) -> int | None:
    """The class, 0 to 999, of the right ImageNet logit (their models have a background first)."""
    for column in good.tolist():
        model, logit = world.table.name(column)
        if model.startswith("coral-mobilenet-v1") and logit > 0:
            return logit - 1
    return None


def open_hub(given: Path | None, assets: Path, folder: Path, inet: bool) -> Hub:
    if given is not None:
        return Hub.open(given, str(assets / "encoder" / "photo-lit"))
    photos = assets / "photos"
    probes = [photos / "flickr8k", photos / "coco"]
    probes += [photos / "imagenet1k-sample"] if inet else []
    hub = Hub.create(folder, probes, str(assets / "encoder" / "photo-lit"))
    hub.add([assets / "hub"])
    return hub


def captions_of(assets: Path, names: Sequence[str], embed: Callable) -> tuple:
    """Embeddings of the captions of flickr8k and coco photos, by the probe with that file name."""
    places = {Path(name).name: place for place, name in enumerate(names)}
    probes, texts = [], []
    for part in ("flickr8k", "coco"):
        for line in (assets / "photos" / part / "captions.jsonl").read_text().splitlines():
            entry = json.loads(line)
            place = places.get(Path(entry["image"]).name)
            if place is not None:
                said = entry.get("captions") or [entry["caption"]]
                probes += [place] * len(said)
                texts += said
    return np.array(probes), embed(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = load_encoder(str(options.assets / "encoder" / "photo-lit"))
    background = embed_background(encoder)
    known: dict[str, np.ndarray] = {}

    def embed(texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for start in range(0, len(new), 256):
            part = new[start : start + 256]
            known.update(zip(part, encoder.embed_texts(part), strict=True))
        return np.stack([known[text] for text in texts])

    def concepts(texts: Sequence[str]) -> np.ndarray:
        return embed([encoder.info.prompt_template.replace("{}", text) for text in texts])

    def world(name: str, table: LogitTable, names: Sequence[str]) -> World:
        space = ProbeSpace(table.embeddings, background, encoder.info.logit_scale)
        return World(name, table, space, captions_of(options.assets, names, embed))

    worlds: dict[str, object] = {}
    result: dict[str, object] = {"worlds": worlds}
    with tempfile.TemporaryDirectory() as folder:
        for inet, given in ((False, options.hub), (True, options.hub_inet)):
            hub = open_hub(given, options.assets, Path(folder) / f"hub{inet}", inet)
            table = hub_table(hub)
            here = world("22 models", table, [probe.source for probe in hub.probes])
            for asked in truth_texts(options.assets, table):
                key = f"22 models, {len(table.embeddings)} probes, {asked.kind}"
                worlds[key] = both_halves(here, asked, concepts)
                if inet and asked.kind == "imagenet":
                    odd = asked.half(True)
                    result["ceilings"] = ceilings(here, odd, concepts(odd.texts))
    folder = options.assets / "inet-mini-hub"
    table, names, plain = mini_hub(folder, encoder)
    asked = name_texts(table)
    for rows in (np.arange(len(names)), plain):
        here = world("300 heads", table.on_probes(rows), [names[i] for i in rows])
        worlds[f"300 heads, {len(rows)} probes"] = both_halves(here, asked, concepts)
    result |= {
        "constants": {
            "breadth": PROBE_WEIGHTS.breadth,
            "softening": PROBE_WEIGHTS.softening,
            "k": SEARCH_CONFIG.k,
        },
        "encoder": encoder.info.fingerprint,
        "lagotto": lagotto.__version__,
    }
    print(json.dumps(result, indent=1) if options.json else result)


def truth_texts(assets: Path, table: LogitTable) -> list[Asked]:
    """The texts of truth.json that the encoder has a chance with, with their right columns."""
    columns = table.columns()
    truth = read_truth(assets / "hub" / "truth.json")
    found = []
    for kind in ("imagenet", "common"):
        queries = [query for query in truth if query.kind == kind]
        right = [np.array([columns[each] for each in query.correct]) for query in queries]
        found.append(Asked(kind, [query.text for query in queries], right))
    return found


def mini_hub(folder: Path, encoder: Encoder) -> tuple[LogitTable, list[str], np.ndarray]:
    """The heads, the file of each of their probes, and which of these are captioned photos."""
    listed = json.loads((folder / "models.json").read_text())["probes"]
    plain = np.array([i for i, (part, _) in enumerate(listed) if part != "inet"])
    return responses_table(read_raw_responses(folder), encoder), [name for _, name in listed], plain


def name_texts(table: LogitTable) -> Asked:
    """Every label as a text, answered by all logits that carry it."""
    labels = np.array(table.labels)
    texts = list(dict.fromkeys(labels.tolist()))
    return Asked("names", texts, [np.flatnonzero(labels == text) for text in texts])


def both_halves(here: World, asked: Asked, concepts: Callable) -> dict[str, object]:
    found = {}
    for name, odd in (("chosen on", False), ("reported", True)):
        half = asked.half(odd)
        print(
            f"{here.name}, {len(here.space.probes)} probes, {asked.kind}: {name}", file=sys.stderr
        )
        found[name] = measure(here, half, concepts(half.texts))
    return found


if __name__ == "__main__":
    main()
