"""Search accuracy of the paper's rule on a real hub, and the paper's ablation of selections.

    python benchmarks/quality/search.py --assets DIR --json > benchmarks/results/quality_search.json

Builds a hub of all models of DIR/hub on the captioned photos (flickr8k + coco) with DIR's encoder,
or uses --hub. Text -> logit with the queries of DIR/hub/truth.json, per kind; for `imagenet` also
those that are the first of a class's names, and 300 drawn at random (numpy, --seed), which is the
size of the reference figure, with the spread of such draws; the selections of the paper's ablation
on all `imagenet` queries; logit -> logit between the two ImageNet models, among all logits of the
other models. Nothing is tuned here: k is the default of 50, the rule is the paper's. Intervals:
95 %, bootstrap over queries.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lagotto
from lagotto.evaluation.retrieval import LogitName, TruthQuery, accuracy, read_truth
from lagotto.evaluation.selection import distances, select_probes
from lagotto.hubsearch.descriptors import standardise
from lagotto.hubsearch.pipeline import Hub
from lagotto.hubsearch.search import LogitQuery, TextQuery

K = 50
SELECTIONS = ("top-k", "all", "random-k", "quantiles", "bottom-k")


def make_hub(assets: Path, folder: Path) -> Hub:
    """The hub of all shared models on the 1,239 captioned photos."""
    photos = assets / "photos"
    probes = [photos / "flickr8k" / "captions.jsonl", photos / "coco" / "captions.jsonl"]
    hub = Hub.create(folder / "hub", probes, str(assets / "encoder" / "photo-lit"))
    hub.add([assets / "hub"])
    return hub


def measured(
    ranked: list[list[LogitName]], correct: list[frozenset[LogitName]]
) -> dict[str, object]:
    """Top-1, Top-5 and a bootstrap interval of Top-1."""
    found = accuracy(ranked, correct)
    hits = np.array([row[0] in good for row, good in zip(ranked, correct, strict=True)], float)
    samples = np.random.default_rng(0).choice(hits, (2000, len(hits))).mean(axis=1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return {
        "queries": found.queries,
        "top1": round(found.top1, 4),
        "top5": round(found.top5, 4),
        "top1_ci95": [round(float(low), 4), round(float(high), 4)],
    }


def search_all(hub: Hub, queries: Sequence[TruthQuery]) -> dict[str, object]:
    """The hub's own search, as a user gets it."""
    ranked = [
        [(hit.model, hit.logit) for hit in hub.search(TextQuery(query.text), top=5, k=K).hits]
        for query in queries
    ]
    return measured(ranked, [query.correct for query in queries])


def ablation(hub: Hub, queries: Sequence[TruthQuery]) -> dict[str, object]:
    """Each selection on standardised descriptors, and top-k on raw responses, in plain numpy."""
    names: list[LogitName] = []
    raw, usable = [], []
    for model in hub.status().models:
        values = np.asarray(hub.responses(model.name))
        raw.append(values)
        usable.append(standardise(values).usable)
        names += [(model.name, logit) for logit in range(values.shape[1])]
    kept = np.concatenate(usable)
    raw_all = np.concatenate(raw, axis=1)[:, kept]
    descriptors = standardise(raw_all).values
    names = [name for name, keep in zip(names, kept, strict=True) if keep]
    template = hub.encoder.info.prompt_template
    texts = hub.encoder.embed_texts([template.replace("{}", query.text) for query in queries])
    cosines = texts @ hub.probe_embeddings.T
    rows: dict[str, object] = {}
    for selection in (*SELECTIONS, "top-k, no normalisation"):
        ranked = []
        for number, cosine in enumerate(cosines):
            if selection == "top-k, no normalisation":
                query, gallery, rule = cosine, raw_all, "top-k"
            else:
                query = (cosine - cosine.mean()) / cosine.std()
                gallery, rule = descriptors, selection
            away = distances(query, gallery, select_probes(query, K, rule, seed=number))
            ranked.append([names[i] for i in np.argsort(away, kind="stable")[:5]])
        rows[selection] = measured(ranked, [query.correct for query in queries])
        print(selection, rows[selection], file=sys.stderr)
    return rows


def first_names(hub: Hub, queries: Sequence[TruthQuery]) -> list[TruthQuery]:
    """The queries that are the first name in the label of a logit that answers them."""
    labels = {m.name: hub.labels(m.name) for m in hub.status().models}
    return [
        query
        for query in queries
        if any(
            (labels[model][logit] or "").split(",")[0].strip().lower() == query.text
            for model, logit in query.relevant
        )
    ]


def draws(hub: Hub, queries: Sequence[TruthQuery]) -> dict[str, float]:
    """Top-1 of 2,000 random draws of 300 queries: how far one such figure may lie from the rest."""
    right = []
    for query in queries:
        hit = hub.search(TextQuery(query.text), top=1, k=K).hits[0]
        right.append((hit.model, hit.logit) in query.correct)
    chance = np.random.default_rng(0)
    scores = [
        float(np.mean(chance.choice(np.array(right, float), 300, replace=False)))
        for _ in range(2000)
    ]
    low, middle, high = np.quantile(scores, [0.025, 0.5, 0.975])
    return {"low": round(low, 4), "median": round(middle, 4), "high": round(high, 4)}


def logit_to_logit(hub: Hub) -> dict[str, object]:
    """Every logit of one ImageNet model asks for its namesake among all logits of other models."""
    models = {m.name: m for m in hub.status().models}
    first, second = (name for name in sorted(models) if name.startswith("coral-mobilenet-v1"))
    rows = {}
    for asks, answers in ((first, second), (second, first)):
        ranked, correct = [], []
        for logit in range(models[asks].outputs):
            hits = hub.search(LogitQuery(asks, logit), top=1000, k=K).hits
            ranked.append([(h.model, h.logit) for h in hits if h.model != asks][:5])
            correct.append(frozenset({(answers, logit)}))
        rows[f"{asks} -> {answers}"] = measured(ranked, correct)
        print(asks, rows[f"{asks} -> {answers}"], file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub already made of these models and probes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    truth = read_truth(options.assets / "hub" / "truth.json")
    kinds = sorted({query.kind for query in truth})
    by_kind = {kind: [query for query in truth if query.kind == kind] for kind in kinds}
    imagenet = by_kind["imagenet"]
    picked = np.random.default_rng(options.seed).choice(len(imagenet), 300, replace=False)
    sample = [imagenet[place] for place in picked.tolist()]
    with tempfile.TemporaryDirectory() as temporary:
        hub = Hub.open(options.hub) if options.hub else make_hub(options.assets, Path(temporary))
        status = hub.status()
        result = {
            "what": "paper's rule, text -> logit and logit -> logit",
            "models": status.done,
            "logits": status.logits,
            "probes": status.probes,
            "probe_digest": status.probe_digest,
            "encoder": {"name": status.encoder, "fingerprint": status.encoder_fingerprint},
            "k": K,
            "seed": options.seed,
            "lagotto": lagotto.__version__,
            "python": platform.python_version(),
            "text_to_logit": {
                **{kind: search_all(hub, by_kind[kind]) for kind in kinds},
                "imagenet, first names": search_all(hub, first_names(hub, imagenet)),
                "imagenet, 300 at random": search_all(hub, sample),
            },
            "top1_of_draws_of_300": draws(hub, imagenet),
            "ablation": ablation(hub, imagenet),
            "logit_to_logit": logit_to_logit(hub),
        }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
