"""Measures the shipped world: does search find the models, do captions help classification?

    python check.py WORLD [--k 50]

Plain numpy and onnxruntime, the ProbeLog rule: descriptors are pre-softmax responses on the
probes, standardised; the distance counts only the k probes on which the query is highest.
"""

import argparse
import json
import pathlib

import numpy as np
from shipped import Pictures, ShippedEncoder, load_models, load_pictures

CAPTIONS_PER_IMAGE = 16  # X-MoRe's K
NEIGHBOURS = 4  # probes whose captions are looked at; each concept is in about seven


def standardize(rows: np.ndarray) -> np.ndarray:
    """Each row minus its mean, over its standard deviation."""
    spread = rows.std(axis=1, keepdims=True)
    return (rows - rows.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-9)


def distances(query: np.ndarray, standardized: np.ndarray, k: int) -> np.ndarray:
    """Distance of a standardised query to each descriptor, on the query's k highest probes."""
    top = np.argsort(-query, kind="stable")[:k]
    return np.sqrt(((standardized[:, top] - query[top]) ** 2).sum(axis=1))


def score_text(
    queries: np.ndarray, wanted: np.ndarray, standardized: np.ndarray, concept: np.ndarray, k: int
) -> np.ndarray:
    """[queries, 2]: is the nearest logit right; is one of the nearest five."""
    scores = []
    for query, want in zip(queries, wanted, strict=True):
        near = concept[np.argsort(distances(query, standardized, k), kind="stable")[:5]]
        scores.append((near[0] == want, (near == want).any()))
    return np.array(scores, float)


def score_logits(
    standardized: np.ndarray, concept: np.ndarray, model: np.ndarray, k: int
) -> tuple[float, int]:
    """Share of logits whose nearest logit of another model means the same; how many counted."""
    right = []
    for index, query in enumerate(standardized):
        others = np.flatnonzero(model != model[index])
        if (concept[others] == concept[index]).any():
            nearest = others[distances(query, standardized[others], k).argmin()]
            right.append(concept[nearest] == concept[index])
    return float(np.mean(right)), len(right)


def softmax(rows: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def confidence(probabilities: np.ndarray) -> np.ndarray:
    """One minus the normalised entropy."""
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=-1)
    return 1 - entropy / np.log(probabilities.shape[-1])


def classify(
    encoder: ShippedEncoder, names: list[str], probes: Pictures, heldout: Pictures
) -> dict[str, np.ndarray]:
    """Guesses for the held-out pictures by image alone, by captions alone and by both."""
    scale = encoder.config["logit_scale"]
    prompts = encoder.embed_names(names)
    stored = encoder.embed_pictures(probes.images)
    owner, texts = [], []
    for row, captions in enumerate(probes.columns["caption"]):
        for caption in dict.fromkeys(captions):
            owner.append(row)
            texts.append(caption)
    captions = encoder.embed_texts(texts)
    caption_votes = softmax(scale * captions @ prompts.T)
    images = encoder.embed_pictures(heldout.images)
    by_image = softmax(scale * images @ prompts.T)
    by_captions = np.empty_like(by_image)
    for row, image in enumerate(images):
        near = set(np.argsort(-(stored @ image), kind="stable")[:NEIGHBOURS].tolist())
        candidates = np.array([index for index, probe in enumerate(owner) if probe in near])
        kept = candidates[np.argsort(-(captions[candidates] @ image), kind="stable")]
        by_captions[row] = caption_votes[kept[:CAPTIONS_PER_IMAGE]].mean(axis=0)
    alpha, beta = confidence(by_image), confidence(by_captions)
    both = by_image * (alpha / alpha.mean())[:, None] + by_captions * (beta / beta.mean())[:, None]
    votes = {"image alone": by_image, "captions alone": by_captions, "both": both}
    return {rule: rows.argmax(axis=1) for rule, rows in votes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=pathlib.Path)
    parser.add_argument("--k", type=int, nargs="+", default=[50, 20])
    options = parser.parse_args()
    facts = json.loads((options.world / "world.json").read_text(encoding="utf-8"))
    truth = json.loads((options.world / "truth.json").read_text(encoding="utf-8"))
    names = [concept["name"] for concept in facts["concepts"]]
    rarity = np.array([concept["rarity"] for concept in facts["concepts"]])
    kinds = sorted(set(rarity.tolist()))
    rare = rarity != "known"
    probes = load_pictures(options.world / "probes.parquet")
    encoder = ShippedEncoder(options.world / "encoder")
    models = load_models(options.world)
    standardized = standardize(np.concatenate([model.logits(probes.images).T for model in models]))
    classes = [facts["models"][model.name]["classes"] for model in models]
    concept = np.array([names.index(name) for listed in classes for name in listed])
    model = np.repeat(np.arange(len(models)), [len(listed) for listed in classes])
    wanted = np.array([names.index(query["text"]) for query in truth["queries"]])
    embedded = encoder.embed_names([names[index] for index in wanted])
    queries = standardize(embedded @ encoder.embed_pictures(probes.images).T)
    print(f"{len(models)} models, {len(standardized)} logits, {len(probes.images)} probes")
    for k in options.k:
        scores = score_text(queries, wanted, standardized, concept, k)
        top1, count = score_logits(standardized, concept, model, k)
        print(f"k = {k}: text -> logit   Top-1 {scores[:, 0].mean():.3f}", end="")
        print(f"  Top-5 {scores[:, 1].mean():.3f}  ({len(wanted)} queries)")
        for kind, rows in (("known", ~rare[wanted]), ("rare", rare[wanted])):
            print(f"          {kind:14}  Top-1 {scores[rows, 0].mean():.3f}", end="")
            print(f"  Top-5 {scores[rows, 1].mean():.3f}  ({int(rows.sum())} queries)")
        print(f"        logit -> logit  Top-1 {top1:.3f}  ({count} queries)")
    heldout = load_pictures(options.world / "heldout.parquet")
    label = np.array([names.index(name) for name in heldout.columns["label"]])
    print(f"zero-shot, {len(label)} held-out pictures, {len(names)} names: all, then by rarity")
    for rule, guesses in classify(encoder, names, probes, heldout).items():
        right = guesses == label
        figures = [f"{kind} {right[rarity[label] == kind].mean():.3f}" for kind in kinds]
        print(f"  {rule:15} {right.mean():.3f}  {', '.join(figures)}")


if __name__ == "__main__":
    main()
