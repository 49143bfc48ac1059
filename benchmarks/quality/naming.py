"""Names, audits and duplicates on a real hub, each beside what it has to beat.

    python benchmarks/quality/naming.py --assets DIR --json > benchmarks/results/quality_naming.json

Builds hubs of all models of DIR/hub on the captioned photos (1,239 probes) and on these with the
ImageNet sample (2,239), or takes --hub FOLDER for each.

- describe: the two ImageNet models with their labels hidden, the first name of each of the 1,000
  classes as vocabulary; Top-1 and Top-5 of the names of a logit. Baselines: the paper's rule in
  reverse (each name is a text query of the rule with k = 50, a logit takes its nearest names), and
  the corrected fits without sharing out. Constants were chosen on the classes whose name has an
  even first byte of its sha256; the others are reported. Intervals: 95 %, bootstrap over logits.
- audit: for models of ten outputs or more the published list, five shifts of it (by 1, -1, 2, a
  third, a half) and five random orders; AUROC of the score, published against the others, and
  verdicts. The list of `tm-fruit4` that its author published. The same for every fifth head of
  DIR/inet-mini-hub, on which no threshold was looked at.
- duplicates: twins and families as `lagotto duplicates` gives them, and how many pairs were
  compared in full.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import lagotto
from lagotto.core.text.names import first_name
from lagotto.hub.hub import Hub
from lagotto.hub.labels.audit import (
    ModelAudit,
    audit_model,
    audit_verdict,
    set_zscore,
)
from lagotto.hub.labels.describe import describe_model
from lagotto.hub.labels.duplicates import find_duplicates
from lagotto.hub.labels.encode import EncodedLabels, LabelEncoder
from lagotto.hub.labels.fit import (
    Reference,
    fit,
    standardized_responses,
    text_evidence,
)
from lagotto.hub.labels.order_test import weigh_orders
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.query.vectors import query_from_embedding, top_k_probes

IMAGENET = ("coral-mobilenet-v1-025-128", "coral-mobilenet-v1-075-192")
FEWEST_OUTPUTS = 10
HEADS_APART = 5
K = 50


def make_hub(assets: Path, folder: Path, in_domain: bool) -> Hub:
    """All shared models on the captioned photos, with the ImageNet sample if `in_domain`."""
    photos = assets / "photos"
    probes = [photos / "flickr8k" / "captions.jsonl", photos / "coco" / "captions.jsonl"]
    if in_domain:
        probes.append(photos / "imagenet1k-sample")
    hub = Hub.create(folder / f"hub{len(probes)}", probes, str(assets / "encoder" / "photo-lit"))
    hub.add([assets / "hub"])
    return hub


def reported(name: str) -> bool:
    """Whether a class belongs to the half on which nothing was chosen."""
    return bool(sha256(name.encode()).digest()[0] % 2)


def top_shares(ranks: np.ndarray) -> dict[str, Any]:
    """Top-1 and Top-5 of the ranks (from 0) of right names, with an interval of Top-1."""
    hits = (ranks == 0).astype(float)
    samples = np.random.default_rng(0).choice(hits, (2000, len(hits))).mean(axis=1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return {
        "logits": len(ranks),
        "top1": round(float(hits.mean()), 4),
        "top5": round(float((ranks < 5).mean()), 4),
        "top1_ci95": [round(float(low), 4), round(float(high), 4)],
    }


def ranks_of(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The rank of the right name of each logit by scores [names, logits]; ties count against."""
    own = scores[right, np.arange(scores.shape[1])]
    return np.asarray((scores >= own).sum(axis=0) - 1)


def describe_rows(hub: Hub, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Accuracy by rule on the reported half, and how often a confidence is right."""
    truth = [first_name(label or "") for label in hub.labels(model)][1:]  # 0 is "background"
    names = tuple(dict.fromkeys(truth))
    right = np.array([names.index(name) for name in truth])
    judged = np.array([reported(name) for name in truth])
    known = hub.reader.responses_of(model)
    reader = LabelEncoder(hub.reader)
    read, standardized = reader.read(names), standardized_responses(known.values)
    fits = fit(read.evidence, standardized, reader.reference(model, standardized))[:, 1:]
    started = time.perf_counter()
    found = describe_model(hub.reader, known, names, top=len(names))
    elapsed_s = time.perf_counter() - started
    order = [[p.name for p in logit.proposals] for logit in found.logits[1:]]
    ours = np.array([row.index(name) for row, name in zip(order, truth, strict=True)])
    descriptors = np.stack(
        [hub.reader.descriptor(model, i) for i in range(1, len(truth) + 1)], axis=1
    )
    paper = np.empty(fits.shape, np.float32)
    for row, concept in enumerate(read.embeddings):
        query = query_from_embedding(concept, hub.reader.probe_embeddings)
        probes = top_k_probes(query, K)
        paper[row] = -((descriptors[probes] - query[probes, None]) ** 2).sum(axis=0)
    rows = {
        "describe": top_shares(ours[judged]),
        "fits alone": top_shares(ranks_of(fits, right)[judged]),
        "paper's rule in reverse": top_shares(ranks_of(paper, right)[judged]),
    }
    confidence = np.array([logit.proposals[0].confidence for logit in found.logits[1:]])
    bins = []
    for low in np.arange(0.0, 1.0, 0.2):
        inside = judged & (confidence >= low) & (confidence < low + 0.2 + 1e-6 * (low > 0.7))
        if inside.sum() >= 10:
            bins.append(
                {
                    "from": round(float(low), 1),
                    "logits": int(inside.sum()),
                    "confidence": round(float(confidence[inside].mean()), 3),
                    "precision": round(float((ours[inside] == 0).mean()), 3),
                }
            )
    return rows, {"bins": bins, "elapsed_s": round(elapsed_s, 3)}


def wrong_orders(count: int) -> list[tuple[str, np.ndarray]]:
    """Five shifts and five random orders of a list."""
    rng = np.random.default_rng(0)
    shifts = dict.fromkeys([1, count - 1, 2, max(3, count // 3), max(4, count // 2)])
    rolled = [("shifted", np.roll(np.arange(count), shift)) for shift in shifts]
    return [*rolled, *(("permuted", rng.permutation(count)) for _ in range(5))]


@dataclass(frozen=True)
class Case:
    """A model with the evidence that any order of its labels is judged by."""

    model: str
    labels: list[str]
    fits: np.ndarray
    texts: np.ndarray
    outputs: np.ndarray
    set_zscore: float

    def verdict(self, order: np.ndarray) -> ModelAudit:
        """On the labels in another order."""
        labels = [self.labels[place] for place in order]
        texts = self.texts[np.ix_(order, order)]
        evidence = weigh_orders(self.fits[order], texts, self.outputs, labels)
        return audit_verdict(self.model, labels, self.fits[order], evidence, self.set_zscore)


def case(
    model: str, labels: list[str], read: EncodedLabels, standardized: np.ndarray, around: Reference
) -> Case:
    """The evidence on a model."""
    fits = fit(read.evidence, standardized, around)
    zscore = set_zscore(fits, fit(around.words, standardized, around))
    texts = read.embeddings @ read.embeddings.T
    return Case(
        model, labels, fits, texts, standardized.T @ standardized / len(standardized), zscore
    )


def hub_cases(hub: Hub) -> list[Case]:
    """Every model of the hub with its published labels."""
    reader, found = LabelEncoder(hub.reader), []
    for status in hub.status().models:
        known = hub.reader.responses_of(status.name)
        labels = [label or "" for label in known.labels]
        standardized = standardized_responses(known.values)
        read = reader.read([first_name(label) for label in labels])
        around = reader.reference(status.name, standardized)
        found.append(case(status.name, labels, read, standardized, around))
    return found


def head_cases(assets: Path, hub: Hub) -> list[Case]:
    """Every fifth head of the folder of responses; `hub` lends its encoder and prompts."""
    folder = assets / "inet-mini-hub"
    stored = np.load(folder / "responses.npz")
    values = stored["u8"].astype(np.float32) * stored["scale"] + stored["offset"]
    models = json.loads((folder / "models.json").read_text())["models"]
    ends = np.cumsum([len(model["labels"]) for model in models])
    starts = ends - [len(model["labels"]) for model in models]
    galleries = [standardized_responses(values[:, a:b]) for a, b in zip(starts, ends, strict=True)]
    probes = np.load(folder / "probe_embeddings.npy").astype(np.float32)
    elsewhere = np.concatenate([standardized[:, ::10] for standardized in galleries[1::5]], axis=1)
    reader, space = (
        LabelEncoder(hub.reader),
        ProbeSpace(probes, hub.reader.space.background, hub.reader.space.logit_scale),
    )
    words = text_evidence(space, space.background)
    found = []
    for model, standardized in list(zip(models, galleries, strict=True))[::HEADS_APART]:
        embeddings = reader.read([first_name(label) for label in model["labels"]]).embeddings
        read = EncodedLabels(embeddings, text_evidence(space, embeddings))
        around = Reference(words, np.concatenate([standardized, elsewhere], axis=1))
        found.append(case(model["model"], list(model["labels"]), read, standardized, around))
    return found


def audit_rows(cases: list[Case]) -> dict[str, Any]:
    """Every model's published verdict, and scores of wrong lists of the larger models."""
    published, rows = [], []
    verdicts: dict[str, Counter[str]] = {
        kind: Counter() for kind in ("published", "shifted", "permuted")
    }
    wrong: dict[str, list[float]] = {"shifted": [], "permuted": []}
    for each in cases:
        count = len(each.labels)
        found = each.verdict(np.arange(count))
        rows.append(
            {
                "model": each.model,
                "outputs": count,
                "verdict": found.verdict,
                "score": round(found.score, 2),
                "direct": round(found.direct, 2),
                "kinship": round(found.kinship, 2),
                "known_set": round(each.set_zscore, 2),
            }
        )
        if count >= FEWEST_OUTPUTS:
            published.append(found.score)
            verdicts["published"][found.verdict] += 1
            for kind, order in wrong_orders(count):
                changed = each.verdict(order)
                wrong[kind].append(changed.score)
                verdicts[kind][changed.verdict] += 1
    scores = wrong["shifted"] + wrong["permuted"]
    return {
        "published": rows,
        "auroc": round(auroc(published, scores), 4),
        "auroc_shifted": round(auroc(published, wrong["shifted"]), 4),
        "auroc_permuted": round(auroc(published, wrong["permuted"]), 4),
        "models": len(published),
        "wrong_lists": len(scores),
        "verdicts": {kind: dict(sorted(counts.items())) for kind, counts in verdicts.items()},
    }


def auroc(higher: list[float], lower: list[float]) -> float:
    """The chance that one of `higher` is above one of `lower`; ties count half."""
    a, b = np.array(higher)[:, None], np.array(lower)
    return float(((a > b) + 0.5 * (a == b)).mean())


def duplicate_rows(hub: Hub) -> dict[str, Any]:
    """Groups and pairs."""
    found = find_duplicates(hub.reader).as_json()
    return {"models": len(hub.status().models), **found}


def measure(hub: Hub, assets: Path) -> dict[str, Any]:
    """Everything on one hub."""
    described, confidences = {}, {}
    for model in IMAGENET:
        described[model], confidences[model] = describe_rows(hub, model)
    file = assets / "hub" / "tm-fruit4" / "labels_as_published.txt"
    fruit = audit_model(hub.reader, hub.reader.responses_of("tm-fruit4"), file.read_text().split())
    return {
        "describe": described,
        "confidence": confidences,
        "audit": audit_rows(hub_cases(hub)),
        "fruit": fruit.as_json(),
        "duplicates": duplicate_rows(hub),
    }


def main() -> None:
    """Measures, and prints one JSON object or a short table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, action="append", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.hub:
            encoder = str(options.assets / "encoder" / "photo-lit")
            hubs = [Hub.open(each, encoder) for each in options.hub]
        else:
            hubs = [make_hub(options.assets, Path(folder), each) for each in (False, True)]
        found: dict[str, Any] = {
            "by_probes": {str(len(hub.probes)): measure(hub, options.assets) for hub in hubs},
            "heads": audit_rows(head_cases(options.assets, hubs[0])),
            "probe_digests": [hub.probe_digest for hub in hubs],
            "lagotto": lagotto.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        }
    json.dump(found, sys.stdout, indent=1 if options.json else None, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
