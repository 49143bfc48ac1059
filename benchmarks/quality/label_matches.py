"""Labels as matches: is a right label found, and how far is the hit believed; are wrong lists not?

    python benchmarks/quality/label_matches.py --assets DIR --json > NEW.json

All models of DIR/hub on the captioned photos (or --hub, a hub of just these), under three kinds of
label lists: as published, shifted by one in every model, and permuted (seeded). The truth stays
what the outputs really are. Each kind is a hub of its own with audited lists, searched as a user
does. Texts are split by the first byte of the sha256: thresholds are chosen on the even half.

- words: the common words of the truth file. Right hits among the first ten with a confidence below
  0.3, the precision of hits with a confidence above 0.9, and Top-1, with labels and by behaviour
  alone.
- claims: hits whose label is the text itself and is believed only openly. The share that is right,
  by kind of list: the confidence of such a hit is the share over as many right lists as wrong ones.
- meaning: all texts where each label is cut to its first name, so that many texts share no word
  with the right label. Top-1 and Top-5 with words alone, with several ways to match meaning too,
  and by behaviour alone.
"""

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import lagotto
from calibration.worlds import half
from lagotto.core.text.names import first_name, name_words
from lagotto.evaluation.retrieval.logit_table import LogitTable, hub_table
from lagotto.evaluation.retrieval.queries import Queries, text_questions
from lagotto.evaluation.retrieval.ranks import rank_logits
from lagotto.evaluation.retrieval.rules import rules_of
from lagotto.evaluation.retrieval.truth import TruthQuery, read_truth
from lagotto.hub.hub import Hub
from lagotto.hub.labels.label_embeddings import open_label_embeddings
from lagotto.hub.text.matching import MATCH, OPENLY, name_likeness
from quality.rules import open_hub

LISTS = ("as published", "shifted by one", "permuted")
TOP = 10
LOW, HIGH = 0.3, 0.9
HALVES = ("even: chosen on", "odd: reported")
WEIGHTS = ((0.5, 0.4), (0.8, 0.4), (0.9, 0.4), (0.8, 0.3), (0.8, 0.6), (0.8, 0.8))
MATCHES = {
    f"meaning, {weight} of the cosine from {least}": replace(
        MATCH, meaning_weight=weight, least_cosine=least
    )
    for weight, least in WEIGHTS
}
K = 50
FINE = 250
"""Texts of the kind "fine" in a half, drawn by the seed: nearly all of them are names of birds."""


def relabelled_hub(hub: Path, folder: Path, how: str, seed: int, encoder: str) -> Hub:
    """A copy of a hub, with the labels of every model in another order, and audited."""
    shutil.copytree(hub, folder, ignore=shutil.ignore_patterns("cache", "label_embeddings*"))
    rng = np.random.default_rng(seed)
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as catalogue, catalogue:
        for (model,) in catalogue.execute("SELECT position FROM models").fetchall():
            rows = catalogue.execute(
                "SELECT label FROM logits WHERE model = ? ORDER BY logit", (model,)
            ).fetchall()
            order = np.arange(len(rows))
            if how == "shifted by one":
                order = np.roll(order, 1)
            elif how == "permuted":
                order = rng.permutation(len(rows))
            catalogue.executemany(
                "UPDATE logits SET label = ? WHERE model = ? AND logit = ?",
                [(*rows[label], model, logit) for logit, label in enumerate(order.tolist())],
            )
    made = Hub.open(folder, encoder)
    made.audit_labels()
    return made


def search_rows(hub: Hub, truth: list[TruthQuery]) -> Iterator[dict[str, Any]]:
    """One row a hit of the first ten of each text, with labels and by behaviour alone."""
    for query in truth:
        words = name_words(query.text)
        for behaviour_only in (False, True):
            for hit in hub.search(query.text, top=TOP, behaviour_only=behaviour_only).hits:
                yield {
                    "text": query.text,
                    "half": half(query.text),
                    "behaviour_only": behaviour_only,
                    "rank": hit.rank,
                    "confidence": hit.confidence,
                    "right": (hit.model, hit.logit) in query.correct,
                    "relevant": (hit.model, hit.logit) in query.relevant,
                    "same_words": name_likeness(words, hit.label or "") >= 1,
                    "trust": hub.label_trust.level(hit.model, hit.logit),
                }


def word_figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Low confidence of right hits, precision of high confidence, and Top-1."""
    figures: dict[str, Any] = {}
    for way, behaviour_only in (("labels", False), ("behaviour alone", True)):
        hits = [row for row in rows if row["behaviour_only"] == behaviour_only]
        right = [row for row in hits if row["relevant"]]
        high = [row for row in hits if row["confidence"] > HIGH]
        first = [row for row in hits if row["rank"] == 1]
        figures[way] = {
            "texts": len(first),
            "top1": round(float(np.mean([row["right"] for row in first])), 4),
            "right_hits": len(right),
            f"right_hits_below_{LOW}": sum(row["confidence"] < LOW for row in right),
            "right_hits_of_the_first_two": sum(row["rank"] <= 2 for row in right),
            f"right_hits_of_the_first_two_below_{LOW}": sum(
                row["rank"] <= 2 and row["confidence"] < LOW for row in right
            ),
            f"hits_above_{HIGH}": len(high),
            f"precision_above_{HIGH}": (
                round(float(np.mean([row["right"] for row in high])), 4) if high else None
            ),
        }
    return figures


def claim_figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Hits whose label is the text and is believed openly: how many there are, how many right."""
    claims = [
        row
        for row in rows
        if not row["behaviour_only"] and row["same_words"] and row["trust"] == OPENLY
    ]
    return {
        "hits": len(claims),
        "right": round(float(np.mean([row["right"] for row in claims])), 4) if claims else None,
        "mean_confidence": (
            round(float(np.mean([row["confidence"] for row in claims])), 4) if claims else None
        ),
    }


def parts(questions: Queries, seed: int) -> dict[str, Queries]:
    """The even and the odd half of some questions; of fine kinds a sample."""
    split = {}
    for side, name in enumerate(HALVES):
        rows = [row for row, text in enumerate(questions.names) if half(text) == side]
        some = questions.take(rows)
        split[name] = some.sample(FINE, seed) if questions.kind == "fine" else some
    return split


def meaning_rows(
    hub: Hub, table: LogitTable, questions: tuple[Queries, ...], how: str, seed: int
) -> Iterator[dict[str, Any]]:
    """Top-1 and Top-5 where the first name of each label is all that is published."""
    cut = replace(
        table, labels=tuple(None if label is None else first_name(label) for label in table.labels)
    )
    labels = sorted({label for label in cut.labels if label is not None})
    vectors = open_label_embeddings(hub.folder / "none", labels, hub.encoder, hub.reader.space)
    sets = {name: name_words(name) for asked in questions for name in asked.names}
    for way, config in {"behaviour": None, "words alone": None, **MATCHES}.items():
        meanings = None if config is None else replace(vectors, config=config)
        rules = rules_of(cut, K, trust=hub.label_trust.level, meanings=meanings)
        name = "behaviour" if way == "behaviour" else "default"
        rule = next(rule for rule in rules if rule.name == name)
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        for asked in questions:
            for side, some in parts(asked, seed).items():
                ranking = rank_logits(rule.score(some), some.correct, some.asking, cut)
                differ = np.array(
                    [
                        all(name_likeness(sets[name], cut.labels[c] or "") < 1 for c in right)
                        for name, right in zip(some.names, some.correct, strict=True)
                    ]
                )
                for words, rows in (("differ", differ), ("the same", ~differ)):
                    hits = np.stack([ranking.top1[rows], ranking.top5[rows]], axis=1)
                    found.setdefault((side, words), []).append(hits)
        for (side, words), hits in found.items():
            each = np.concatenate(hits)
            yield {
                "lists": how,
                "half": side,
                "words": words,
                "match": way,
                "texts": len(each),
                "top1": round(float(each[:, 0].mean()), 4),
                "top5": round(float(each[:, 1].mean()), 4),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("words", "meaning"), help="one part alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = str(options.assets / "encoder" / "photo-lit")
    truth = read_truth(options.assets / "hub" / "truth.json")
    result: dict[str, Any] = {"seed": options.seed, "lagotto": lagotto.__version__}
    common = [query for query in truth if query.kind == "common"]
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(options.hub, options.assets, Path(folder) / "hub", False)
        for how in LISTS:
            made = relabelled_hub(hub.folder, Path(folder) / how, how, options.seed, encoder)
            print(how, file=sys.stderr, flush=True)
            if options.only != "meaning":
                rows = list(search_rows(made, common))
                for side, name in enumerate(HALVES):
                    of_half = [row for row in rows if row["half"] == side]
                    result.setdefault("words", {}).setdefault(how, {})[name] = {
                        **word_figures(of_half),
                        "claims": claim_figures(of_half),
                    }
                result["words"][how]["all"] = word_figures(rows)
                print(json.dumps(result["words"][how]), file=sys.stderr, flush=True)
            if options.only != "words":
                table = hub_table(made)
                questions = text_questions(table, truth, made.encoder).questions
                for row in meaning_rows(made, table, questions, how, options.seed):
                    result.setdefault("meaning", []).append(row)
                    print(row, file=sys.stderr, flush=True)
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
