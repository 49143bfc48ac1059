r"""Models of a hub as a third voice: which evidence finds them, and what accuracy they add.

    python benchmarks/quality/specialists.py --assets DIR --hub HUB \
        --out benchmarks/results/quality_specialists.json

HUB holds the shared models, probed on flickr8k + coco by `lagotto hub create` and `hub add`. The
encoder and every model run on every picture once (cached in --cache DIR); all else is arithmetic on
these outputs. Each scenario is a real copy of the hub (specialist_hubs.py), asked through the
finder. The labels serve only for scoring. Pictures are split into halves by a hash of their
name: `half` 0 was used for development, 1 for reporting; docs/results.md says how often.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, permutations
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import lagotto
from lagotto.core.assignment import best_assignment
from lagotto.core.vectors import softmax
from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.likelihood import fit_votes
from lagotto.specialists.matching import MIN_NAME_AGREEMENT, label_output_agreement
from lagotto.specialists.probe_evidence import EncoderView, first_order_gain
from provenance import provenance
from quality.reference_copies import SMALL, Labels
from quality.specialist_data import Data, SetQuery, TextMemory, read_set, score
from quality.specialist_hubs import Scenario, ScenarioHubs, draw_decoys


@dataclass(frozen=True)
class SetModels:
    """What the hub has for a set.

    Attributes:
        good: how the names of the models begin that know its labels. They are removed to check that
            the others do no harm.
        teacher: one of them. As a reference it is to name the outputs of the others; its file is
            gone, so it cannot be asked itself.
    """

    good: tuple[str, ...]
    teacher: str


SETS = {
    "cifar10": SetModels(("akamaster", "bcom5", "mlperf-cifar10"), "akamaster-cifar10-resnet20"),
    "flowers5": SetModels(("tuxxon", "abdoconan"), "abdoconan-flowers"),
    "cats-dogs": SetModels(
        ("tm-catdog2", "tm-felines", "akamaster", "bcom5", "mlperf-cifar10"), "tm-catdog2"
    ),
    "imagenet100x5": SetModels(("coral-mobilenet",), SMALL),
    "grocery43": SetModels(("coral-mobilenet", "tm-fruit4"), SMALL),
}
BEHAVIOUR, NAMES = "behaviour only", "with names"
SEEDS = (0, 1, 2, 3, 4)
SHARE = 0.8


@dataclass(frozen=True)
class Known:
    """The responses and published names of the hub's models."""

    responses: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[str | None, ...]]

    @classmethod
    def of(cls, hub: lagotto.Hub) -> Self:
        return cls(
            {model: np.array(hub.responses(model), np.float64) for model in hub.models},
            {model: hub.labels(model) for model in hub.models},
        )


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Results:
    """The rows of every set, and the file that they are written to."""

    def __init__(self, file: Path, facts: dict[str, Any], sets: dict[str, dict[str, Any]]) -> None:
        self.sets = sets
        self._file, self._facts = file, facts

    @classmethod
    def open(cls, file: Path, facts: dict[str, Any]) -> Self:
        """With what the file has, if there is one."""
        sets = json.loads(file.read_text())["sets"] if file.is_file() else {}
        return cls(file, facts, sets)

    def rows(self, name: str) -> dict[str, Any]:
        """The scenarios of a set."""
        found: dict[str, Any] = self.sets.setdefault(name, {}).setdefault("rows", {})
        return found

    def write(self) -> None:
        result = {**self._facts, "sets": self.sets, **provenance()}
        self._file.write_text(json.dumps(result, indent=1) + "\n")


def alone(data: Data, known: Known) -> dict[str, object]:
    """Each kind of evidence alone: the model that it ranks first, and that model's accuracy.

    Only models with at least as many outputs as labels are ranked: for the others, one kind of
    evidence alone cannot be distinguished from chance.
    """
    view, probe_view = EncoderView.of(data.logits), EncoderView.of(data.probe_logits)
    rankings: dict[str, list[tuple[float, str, np.ndarray]]] = {
        kind: [] for kind in ("pictures", "probes", "names", "pictures and probes")
    }
    for model, logits in data.models.items():
        responses = known.responses[model]
        if logits.shape[1] < len(data.labels):
            continue
        shares, probe_shares = softmax(logits), softmax(responses)
        by_pictures = first_order_gain(softmax(view.logits), shares)
        by_probes = first_order_gain(softmax(probe_view.logits), probe_shares)
        a, b, c = map(best_assignment, (by_pictures, by_probes, by_pictures + by_probes))
        rankings["pictures"].append(
            (fit_votes(view.logits, shares, a).log_likelihood_gain, model, a)
        )
        rankings["probes"].append(
            (fit_votes(probe_view.logits, probe_shares, b).log_likelihood_gain, model, b)
        )
        both = (
            fit_votes(view.logits, shares, c).log_likelihood_gain
            + fit_votes(probe_view.logits, probe_shares, c).log_likelihood_gain
        )
        rankings["pictures and probes"].append((both, model, c))
        by_name = named_outputs(data.labels, known.names[model])
        share = len(by_name[by_name >= 0]) / logits.shape[1]
        rankings["names"].append(((by_name >= 0).sum() + share, model, by_name))
    rows: dict[str, object] = {}
    for kind, each in rankings.items():
        _, model, outputs = max(each, key=lambda row: row[0])
        outputs_of_labels = data.models[model][:, outputs] if (outputs >= 0).all() else None
        right = named_outputs(data.labels, known.names[model])
        rows[kind] = {
            "first": model,
            "outputs_right": int(((outputs == right) & (right >= 0)).sum()),
            "outputs_named": int((right >= 0).sum()),
            "its_accuracy": None
            if outputs_of_labels is None
            else round(float((outputs_of_labels.argmax(axis=1) == data.truth).mean()), 4),
        }
    return rows


def lists(data: Data, known: Known) -> dict[str, object]:
    """The relative agreement of the pictures with each published list that names a label.

    1 is the agreement of the best assignment. For a model of just these labels, also the number of
    orders of its list that would be accepted.
    """
    posterior = softmax(EncoderView.of(data.logits).logits)
    rows: dict[str, object] = {}
    for model, logits in data.models.items():
        outputs = named_outputs(data.labels, known.names[model])
        named = np.flatnonzero(outputs >= 0)
        if not len(named):
            continue
        table = label_output_agreement(posterior, softmax(logits))[named]
        best = best_assignment(table)
        best_agreement = float(table[best >= 0, best[best >= 0]].clip(min=0).sum())
        row: dict[str, object] = {
            "names": len(named),
            "agree": round(
                float(table[np.arange(len(named)), outputs[named]].sum()) / best_agreement, 3
            ),
        }
        if len(named) == logits.shape[1] <= 6:
            orders = [list(order) for order in permutations(outputs[named].tolist())]
            sums = [float(table[np.arange(len(named)), order].sum()) for order in orders]
            row["orders"] = len(orders)
            row["orders_that_agree"] = sum(
                each >= MIN_NAME_AGREEMENT * best_agreement for each in sums
            )
        rows[model] = row
    return rows


def shifted(_: str, labels: Labels) -> Labels:
    return labels[1:] + labels[:1]


def permuted(seed: int) -> Callable[[str, Labels], Labels]:
    """A random order of each list."""
    rng = np.random.default_rng(seed)

    def relabel(_: str, labels: Labels) -> Labels:
        return [labels[place] for place in rng.permutation(len(labels)).tolist()]

    return relabel


def hidden_but(teacher: str) -> Callable[[str, Labels], Labels]:
    """No list but the teacher's."""

    def relabel(model: str, labels: Labels) -> Labels:
        return labels if model == teacher else [None] * len(labels)

    return relabel


def common_scenarios(known: Known, seeds: Sequence[int]) -> dict[str, Scenario]:
    """The scenarios whose hubs are the same for all sets; those with one hub follow each other."""
    found = {BEHAVIOUR: Scenario(use_names=False), NAMES: Scenario()}
    found["names shifted by one"] = Scenario(relabel=shifted)
    for seed in seeds:
        found[f"names permuted, seed {seed}"] = Scenario(relabel=permuted(seed))
    for seed in seeds:
        decoys = draw_decoys(known.responses, seed)
        for name in (BEHAVIOUR, NAMES):
            found[f"20 decoys, {name}, seed {seed}"] = Scenario(name == NAMES, decoys=decoys)
    return found


def own_scenarios(models: SetModels) -> dict[str, Scenario]:
    """The scenarios that are about the models of one set."""
    gone, relabel = (models.teacher,), hidden_but(models.teacher)
    taught = Scenario(relabel=relabel, references=gone, gone=gone)
    return {
        f"specialists removed, {BEHAVIOUR}": Scenario(use_names=False, without=models.good),
        f"specialists removed, {NAMES}": Scenario(without=models.good),
        "a reference teaches, behaviour only": replace(taught, use_names=False),
        "a reference teaches, through its labels": taught,
        "a reference teaches, all lists read": Scenario(references=gone, gone=gone),
    }


def ask_scenarios(
    queries: Sequence[SetQuery],
    hubs: ScenarioHubs,
    scenarios: Mapping[str, Scenario],
    results: Results,
) -> None:
    """A row for each scenario and set; the query is the whole set."""
    for _, group in groupby(scenarios.items(), key=lambda item: item[1].key):
        alike = list(group)
        wanted = [
            (query, results.rows(query.data.name), name, scenario)
            for query in queries
            for name, scenario in alike
            if name not in results.rows(query.data.name)
        ]
        if not wanted:
            continue
        hub = hubs.make(alike[0][1])
        for query, rows, name, scenario in wanted:
            rows[name] = query.ask(hub, scenario.use_names, scenario.decoys)
            log(f"{query.data.name:14} {name:42} {rows[name]}")
        hubs.drop(hub)
        results.write()


def stability(query: SetQuery, hub: lagotto.Hub) -> dict[str, object]:
    """The selected models and their accuracy on all pictures, for other queries of the same kind.

    The queries are a random SHARE of the pictures for each seed, and every picture four times.
    """
    count = len(query.data.files)
    queries = {
        f"seed {seed}": np.random.default_rng(seed).permutation(count)[: int(SHARE * count)]
        for seed in range(10)
    }
    queries["each four times"] = np.tile(np.arange(count), 4)
    result: dict[str, object] = {}
    for evidence, use_names in ((NAMES, True), (BEHAVIOUR, False)):
        rows = {
            name: query.ask(hub, use_names, positions=positions.tolist())
            for name, positions in queries.items()
        }
        for name, row in rows.items():
            log(f"{query.data.name:14} {evidence:14} {name:16} {row}")
        drawn = [row["acc1"] for name, row in rows.items() if name.startswith("seed")]
        result[evidence] = {
            "mean": round(float(np.mean(drawn)), 4),
            "sd": round(float(np.std(drawn)), 4),
            "worst": min(drawn),
            "best": max(drawn),
            "sets_of_models": len({frozenset(row["models"]) for row in rows.values()}),
            "queries": rows,
        }
    return result


def measure(
    hub: lagotto.Hub,
    sets: Mapping[str, tuple[SetQuery, SetModels]],
    results: Results,
    seeds: Sequence[int] = SEEDS,
) -> None:
    """Every scenario, and what other queries of the same kind find, of each set."""
    known = Known.of(hub)
    queries = [query for query, _ in sets.values()]
    with tempfile.TemporaryDirectory() as folder:
        hubs = ScenarioHubs(hub.folder, TextMemory(hub.reader.encoder), Path(folder))
        for query in queries:
            image_only = score(query.data, query.data.logits.argmax(axis=1))
            results.rows(query.data.name).setdefault("image-only", image_only)
        ask_scenarios(queries, hubs, common_scenarios(known, seeds), results)
        for query, models in sets.values():
            ask_scenarios([query], hubs, own_scenarios(models), results)
    for name, (query, _) in sets.items():
        row = results.sets[name]
        row["pictures"] = len(query.data.truth)
        row["evidence_alone"] = alone(query.data, known)
        row["published_lists"] = lists(query.data, known)
        if "stability" not in row:
            row["stability"] = stability(query, hub)
        results.write()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--max-models", type=int, default=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument(
        "--out", type=Path, required=True, help="Rewritten as it goes; what it has is kept."
    )
    options = parser.parse_args(arguments)
    options.cache.mkdir(parents=True, exist_ok=True)
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    sets = {}
    for name in options.sets.split(","):
        data = read_set(name, options.assets, options.cache, hub)
        sets[name] = SetQuery.of(data, hub.encoder, options.max_models), SETS[name]
    facts = {
        "what": "models found in a hub of 22 as a third voice, five labelled sets",
        "probes": len(hub.probes),
        "max_models": options.max_models,
    }
    measure(hub, sets, Results.open(options.out, facts))


if __name__ == "__main__":
    main()
