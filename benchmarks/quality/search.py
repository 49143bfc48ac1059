"""Search accuracy of every rule on real models, and the paper's tables on them.

    python benchmarks/quality/search.py --assets DIR --json > benchmarks/results/quality_search.json

Three worlds: all models of DIR/hub on the captioned photos (flickr8k + coco), the same with one
ImageNet photo a class among the probes, and the heads of DIR/inet-mini-hub by their responses. Hubs
are built, or given by --hub and --hub-inet. Texts: DIR/hub/truth.json by kind, the class names of
the mini-hub; logits: by label. "reported half": questions whose concept has an odd first byte of
its sha256; what is tuned is tuned on the others. Nothing is tuned here.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float32

import lagotto
from lagotto.core.types import JsonObject
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.paper.report import paper_results
from lagotto.evaluation.paper.tables import Bench, paper_tables
from lagotto.evaluation.retrieval.logit_table import (
    LogitTable,
    hub_table,
    responses_table,
)
from lagotto.evaluation.retrieval.queries import (
    Queries,
    label_truth,
    logit_questions,
    names_of,
    text_questions,
)
from lagotto.evaluation.retrieval.raw_responses import read_raw_responses
from lagotto.evaluation.retrieval.report import RetrievalMethod, retrieval_results
from lagotto.evaluation.retrieval.rules import PAPER, rules_of
from lagotto.evaluation.retrieval.scores import RetrievalEvaluation, evaluate_retrieval
from lagotto.evaluation.retrieval.truth import TruthQuery, read_truth
from lagotto.hub.hub import Hub

K = 50
TABLES_OF = 500
"""Questions of each kind in the paper's tables, drawn at random."""


class Remembering:
    """An encoder that embeds each text once for all worlds."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Float32[np.ndarray, " dim"]] = {}
        self.info = encoder.info
        self.embed_pixels = encoder.embed_pixels
        self.token_counts = encoder.token_counts

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """The rows that the encoder gives; a row depends on its own text alone."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= zip(new, self._encoder.embed_texts(new), strict=True)
        return np.stack([self._known[text] for text in texts])


def make_hub(assets: Path, folder: Path, inet: bool) -> Hub:
    """The hub of all shared models on the captioned photos, with or without the ImageNet ones."""
    photos = assets / "photos"
    probes = [photos / "flickr8k", photos / "coco"]
    probes += [photos / "imagenet1k-sample"] if inet else []
    hub = Hub.create(folder, probes, str(assets / "encoder" / "photo-lit"))
    hub.add([assets / "hub"])
    return hub


def parts_of(asked: Queries, table: LogitTable) -> list[Queries]:
    """All, the reported half and, of the texts with several names a class, the first names."""
    parts = [asked, some(asked, "reported half", lambda place: reported(asked, table, place))]
    if asked.kind == "imagenet":
        parts.append(some(asked, "first names", lambda place: is_first(asked, table, place)))
    return [part for part in parts if len(part)]


def some(asked: Queries, name: str, chosen: Callable[[int], bool]) -> Queries:
    """The questions that are chosen, as a kind of their own."""
    part = asked.take([place for place in range(len(asked)) if chosen(place)])
    return replace(part, kind=f"{asked.kind}, {name}")


def reported(asked: Queries, table: LogitTable, place: int) -> bool:
    """Whether a question is of the half that nothing is tuned on: by its text, or first name."""
    concept = asked.names[place]
    if not asked.are_texts:
        concept = names_of(table.labels[int(asked.asking[place])])[0]
    return sha256(concept.encode()).digest()[0] % 2 == 1


def is_first(asked: Queries, table: LogitTable, place: int) -> bool:
    """Whether a text is the first name in the label of a logit that answers it."""
    return any(
        names_of(table.labels[column])[:1] == (asked.names[place],)
        for column in asked.correct[place].tolist()
    )


def by_model(asked: Queries, table: LogitTable) -> list[Queries]:
    """The logits of each ImageNet model, as a kind of their own."""
    owners = table.owners
    large = [number for number, name in enumerate(table.models) if "coral-mobilenet-v1" in name]
    return [
        replace(
            asked.take(np.flatnonzero(owners[asked.asking] == number).tolist()),
            kind=f"{asked.kind}, {table.models[number]}",
        )
        for number in large
    ]


def measure(
    table: LogitTable, truth: Sequence[TruthQuery], encoder: Encoder, seed: int
) -> tuple[JsonObject, RetrievalEvaluation, list[Queries]]:
    """Every rule on all questions and on their parts, one kind after the other."""
    texts = text_questions(table, truth, encoder)
    logits = logit_questions(table)
    assert logits is not None
    questions = [*texts.questions, logits]
    parts = [part for asked in questions for part in parts_of(asked, table)]
    parts += by_model(logits, table)
    rules = (*rules_of(table, K, behaviour_only=True), rules_of(table, K)[-1])  # and keywords
    found = evaluate_retrieval(table, questions, rules, seed=seed)
    method = RetrievalMethod(table, encoder.info, "labels", texts.left_out, K, seed)
    result = retrieval_results(found, method)
    rows = list(result["rows"])  # type: ignore[arg-type]
    for part in parts:
        if part.kind not in {asked.kind for asked in questions}:
            alone = evaluate_retrieval(table, [part], rules, seed=seed)
            rows += retrieval_results(alone, method)["rows"]  # type: ignore[operator]
    result["rows"] = rows
    for row in rows:
        print(row["kind"], row["rule"], row["queries"], row["top1"], row["top5"], file=sys.stderr)
    return result, found, questions


def tables_of(table: LogitTable, questions: Sequence[Queries], seed: int) -> JsonObject:
    """The paper's tables, on texts of the kind that can be answered and on logits."""
    asked = [each for each in questions if each.kind not in ("fine", "common")]
    sampled = [each.sample(TABLES_OF, seed) for each in asked]
    made = list(paper_tables(Bench(table, tuple(sampled), K, seed)))
    return paper_results(made, RetrievalMethod(table, None, "", 0, K, seed, True))


def draws(found: RetrievalEvaluation, kind: str) -> dict[str, float]:
    """Top-1 of 2,000 random draws of 300 queries: how far one such figure may lie from the rest."""
    place = [asked.kind for asked in found.queries].index(kind)
    ranking = found.rankings[PAPER][place]
    assert ranking is not None
    chance = np.random.default_rng(0)
    scores = [
        float(chance.choice(ranking.top1.astype(float), 300, replace=False).mean())
        for _ in range(2000)
    ]
    low, middle, high = np.quantile(scores, [0.025, 0.5, 0.975])
    return {"low": round(low, 4), "median": round(middle, 4), "high": round(high, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub already made: captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with imagenet1k-sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    encoder = Remembering(load_encoder(str(options.assets / "encoder" / "photo-lit")))
    truth = read_truth(options.assets / "hub" / "truth.json")
    result: JsonObject = {
        "what": "every rule by kind of question, and the paper's tables",
        "k": K,
        "seed": options.seed,
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
    }
    worlds: JsonObject = {}
    tables: JsonObject = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, given, inet in (
            ("1,239 probes", options.hub, False),
            ("2,239 probes", options.hub_inet, True),
        ):
            hub = (
                Hub.open(given) if given else make_hub(options.assets, Path(temporary, name), inet)
            )
            table = hub_table(hub)
            worlds[name], found, questions = measure(table, truth, encoder, options.seed)
            tables[name] = tables_of(table, questions, options.seed)
            if not inet:
                result["top1_of_draws_of_300"] = draws(found, "imagenet")  # type: ignore[assignment]
    heads = responses_table(read_raw_responses(options.assets / "inet-mini-hub"), encoder)
    worlds["mini-hub"] = measure(heads, label_truth(heads), encoder, options.seed)[0]
    result |= {"worlds": worlds, "tables": tables}
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
