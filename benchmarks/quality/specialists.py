r"""Models of a hub as a third voice: which evidence finds them, and what accuracy they add.

    python benchmarks/quality/specialists.py --assets DIR --hub HUB --json \
        > benchmarks/results/quality_specialists.json

HUB holds the shared models, probed on flickr8k + coco by `lagotto hub create` and `hub add`. The
encoder and every model run on every picture once (cached in --cache DIR); all else is arithmetic on
these outputs. The labels serve only for scoring. Pictures are split into halves by a hash of their
name: `half` 0 was used for development, 1 for reporting; docs/results.md says how often.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import lagotto
from lagotto.core.assignment import best_assignment
from lagotto.core.images import decode_picture, read_picture_file, to_pixels
from lagotto.core.progress import Silent
from lagotto.core.types import PixelSpec
from lagotto.core.vectors import softmax
from lagotto.encoders.base import Encoder
from lagotto.evaluation.intervals import mean_interval
from lagotto.hub.store.records import ModelRecord
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import load_model
from lagotto.specialists.finder import Finder, SpecialistQuery
from lagotto.specialists.fusion import combine_votes
from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.likelihood import fit_votes
from lagotto.specialists.matching import MIN_NAME_AGREEMENT, label_output_agreement
from lagotto.specialists.model_runs import Runnable
from lagotto.specialists.pictures.pixel_batches import PixelFile
from lagotto.specialists.probe_evidence import EncoderView, first_order_gain
from provenance import provenance

SETS = ("cifar10", "flowers5", "cats-dogs", "imagenet100x5", "grocery43")
GOOD = {
    "cifar10": ("akamaster", "bcom5", "mlperf-cifar10"),
    "flowers5": ("tuxxon", "abdoconan"),
    "cats-dogs": ("tm-catdog2", "tm-felines", "akamaster", "bcom5", "mlperf-cifar10"),
    "imagenet100x5": ("coral-mobilenet",),
    "grocery43": ("coral-mobilenet", "tm-fruit4"),
}
"""The models that are removed for each set, to check that the others do no harm."""

SEEDS = (0, 1, 2, 3, 4)
SHARE = 0.8


@dataclass(frozen=True)
class Data:
    """A labelled set with the outputs of the encoder and all models."""

    name: str
    labels: tuple[str, ...]
    truth: np.ndarray
    half: np.ndarray
    logits: np.ndarray
    probe_logits: np.ndarray
    models: Mapping[str, np.ndarray]
    files: list[Path]
    embeddings: np.ndarray


@dataclass(frozen=True)
class Known:
    """The responses and published names of the hub's models."""

    responses: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[str | None, ...]]


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def read_set(name: str, options: argparse.Namespace, hub: lagotto.Hub) -> Data:
    """The set with all outputs; computed once, then read from the cache."""
    folder = options.assets / "photos" / name
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    labels = tuple(sorted({row["label"] for row in rows}))
    cache_file = options.cache / f"{name}.npz"
    if not cache_file.is_file():
        log(f"{name}: encoder and models look at {len(rows)} pictures")
        pictures = [decode_picture(read_picture_file(folder / row["image"])) for row in rows]
        pixels = [to_pixels(picture, hub.encoder.info.pixels) for picture in pictures]
        arrays = {
            "embeddings": np.concatenate(
                [
                    hub.encoder.embed_pixels(np.stack(pixels[start : start + 64]))
                    for start in range(0, len(pixels), 64)
                ]
            )
        }
        for source in scan_models([options.assets / "hub"]):
            model = load_model(source)
            spec = model.spec.input.pixels
            arrays[source.name] = model.logits(np.stack([to_pixels(p, spec) for p in pictures]))
        np.savez(cache_file, **arrays)
    stored = dict(np.load(cache_file))
    info = hub.encoder.info
    prompts = hub.encoder.embed_texts([info.prompt_template.format(label) for label in labels])
    embeddings = stored.pop("embeddings")
    return Data(
        name,
        labels,
        np.array([labels.index(row["label"]) for row in rows]),
        np.array([hashlib.sha256(row["image"].encode()).digest()[0] % 2 for row in rows]),
        info.logit_scale * (embeddings @ prompts.T).astype(np.float64),
        info.logit_scale * (hub.reader.probe_embeddings @ prompts.T).astype(np.float64),
        {model: values.astype(np.float64) for model, values in stored.items()},
        [folder / row["image"] for row in rows],
        embeddings,
    )


def score(data: Data, predicted: np.ndarray, models: list[str] | None = None) -> dict[str, object]:
    hits = predicted == data.truth
    interval = mean_interval(hits)
    row: dict[str, object] = {
        "acc1": round(float(hits.mean()), 4),
        "ci95": [round(interval.low, 4), round(interval.high, 4)],
        "report_half": round(float(hits[data.half == 1].mean()), 4),
    }
    return row | ({} if models is None else {"models": models})


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


def shifted(names: Mapping[str, tuple[str | None, ...]]) -> dict[str, tuple[str | None, ...]]:
    return {model: (*each[1:], *each[:1]) for model, each in names.items()}


def permuted(
    names: Mapping[str, tuple[str | None, ...]], seed: int
) -> dict[str, tuple[str | None, ...]]:
    rng = np.random.default_rng(seed)
    return {
        model: tuple(each[i] for i in rng.permutation(len(each))) for model, each in names.items()
    }


def decoys(data: Data, known: Known, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """20 models without names: 10 with permuted outputs, 10 mixed by a random matrix."""
    rng = np.random.default_rng(seed)
    decoy_models = {}
    for number in range(20):
        model = list(data.models)[rng.integers(len(data.models))]
        logits, responses = data.models[model], known.responses[model]
        outputs = logits.shape[1]
        if number % 2:
            order = rng.permutation(outputs)
            decoy_models[f"decoy{number:02d}"] = logits[:, order], responses[:, order]
        else:
            mix = rng.normal(size=(outputs, outputs)) / np.sqrt(outputs)
            centre = responses.mean(axis=0)
            decoy_models[f"decoy{number:02d}"] = (logits - centre) @ mix, (responses - centre) @ mix
    return decoy_models


class ScenarioHub:
    """A hub for a scenario: with other names, without some models, or with decoys."""

    def __init__(
        self,
        hub: lagotto.Hub,
        known: Known,
        names: Mapping[str, tuple[str | None, ...]],
        without: tuple[str, ...] = (),
        more: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        self.probe_embeddings = hub.reader.probe_embeddings
        self._names = names
        self._responses = dict(known.responses) | {
            name: responses for name, (_, responses) in (more or {}).items()
        }
        records = [
            each for each in hub.reader.records() if not each.name.startswith(without or ("-",))
        ]
        by_width = {each.outputs: each for each in hub.reader.records()}
        self._records = records + [
            replace(by_width[responses.shape[1]], name=name)
            for name, (_, responses) in (more or {}).items()
        ]

    def records(self) -> tuple[ModelRecord, ...]:
        return tuple(self._records)

    def labels(self, name: str) -> tuple[str | None, ...]:
        return self._names.get(name, ())

    def seen_probes(self, name: str) -> np.ndarray:
        return np.arange(len(self.probe_embeddings))

    def observed_responses(self, name: str) -> np.ndarray:
        return self._responses[name].astype(np.float32)


class ReplayedRuns:
    """Encoder and workers that replay cached outputs, by the pixels of each picture."""

    def __init__(self, data: Data, encoder: Encoder, folder: Path) -> None:
        self.info, self.folder = encoder.info, folder
        self.failures: dict[str, str] = {}
        self.models = dict(data.models)
        self._files = data.files
        self._embeddings = data.embeddings
        self._rows: dict[PixelSpec, dict[bytes, int]] = {}

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._embeddings[self._rows_of(self.info.pixels, pixels)]

    def warm(self, models: Sequence[Runnable]) -> None:
        pass

    def logits(
        self, models: Sequence[Runnable], batches: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> dict[str, np.ndarray]:
        rows = [
            position
            for batch in batches
            for position in self._rows_of(models[0].pixels, batch[models[0].pixels].array())
        ]
        return {m.record.name: self.models[m.record.name][rows] for m in models}

    def _rows_of(self, spec: PixelSpec, pixels: np.ndarray) -> list[int]:
        if spec not in self._rows:
            decoded = (decode_picture(read_picture_file(file)) for file in self._files)
            self._rows[spec] = {
                hashlib.sha256(to_pixels(each, spec).tobytes()).digest(): row
                for row, each in enumerate(decoded)
            }
        return [self._rows[spec][hashlib.sha256(each.tobytes()).digest()] for each in pixels]


@dataclass(frozen=True)
class Query:
    """A query for a set, or for some of its pictures, to any hub."""

    data: Data
    prompts: np.ndarray
    replay: ReplayedRuns
    max_models: int

    @classmethod
    def of(cls, data: Data, encoder: Encoder, folder: Path, max_models: int) -> "Query":
        prompts = [encoder.info.prompt_template.format(label) for label in data.labels]
        return cls(
            data, encoder.embed_texts(prompts), ReplayedRuns(data, encoder, folder), max_models
        )

    def row(self, hub: ScenarioHub, positions: Sequence[int] | None = None) -> dict[str, object]:
        """The models that the finder selects, and their accuracy on all pictures."""
        scale = self.replay.info.logit_scale
        specialist_query = SpecialistQuery(
            self.data.labels,
            self.prompts,
            lambda e: np.log(softmax((scale * (e @ self.prompts.T)).astype(float))),
            self.max_models,
        )
        indices = range(len(self.data.files)) if positions is None else positions
        readers = [partial(read_picture_file, self.data.files[position]) for position in indices]
        finder = Finder(hub, self.replay, specialist_query, self.replay)  # type: ignore[arg-type]
        selection = finder.find(readers, Silent()).selection
        scores = combine_votes(softmax(self.data.logits), selection, self.replay.models)
        return score(self.data, scores.argmax(axis=1), [each.model for each in selection.matches])


def stability(query: Query, hub: lagotto.Hub, known: Known) -> dict[str, object]:
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
    for evidence, names in (("with names", known.names), ("behaviour only", {})):
        rows = {
            name: query.row(ScenarioHub(hub, known, names), each) for name, each in queries.items()
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


def measure(query: Query, hub: lagotto.Hub, known: Known) -> dict[str, object]:
    """Every scenario on one set; the query is the whole set."""
    data = query.data

    def row(names: Mapping[str, tuple[str | None, ...]] | None = None, **options: object) -> object:
        query.replay.models = dict(data.models) | {
            name: logits
            for name, (logits, _) in options.get("more", {}).items()  # type: ignore[attr-defined]
        }
        return query.row(ScenarioHub(hub, known, names or {}, **options))  # type: ignore[arg-type]

    rows: dict[str, object] = {"image-only": score(data, data.logits.argmax(axis=1))}
    rows["behaviour only"] = row()
    rows["with names"] = row(known.names)
    rows["names shifted by one"] = row(shifted(known.names))
    for seed in SEEDS:
        rows[f"names permuted, seed {seed}"] = row(permuted(known.names, seed))
    rows["specialists removed, behaviour only"] = row(without=GOOD[data.name])
    rows["specialists removed, with names"] = row(known.names, without=GOOD[data.name])
    for seed in SEEDS:
        more = decoys(data, known, seed)
        rows[f"20 decoys, behaviour only, seed {seed}"] = row(more=more)
        rows[f"20 decoys, with names, seed {seed}"] = row(known.names, more=more)
    query.replay.models = dict(data.models)
    for name, each in rows.items():
        log(f"{data.name:14} {name:42} {each}")
    return {
        "pictures": len(data.truth),
        "evidence_alone": alone(data, known),
        "published_lists": lists(data, known),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--max-models", type=int, default=3)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    models = [model.name for model in hub.status().models]
    known = Known(
        {model: np.array(hub.responses(model), np.float64) for model in models},
        {model: hub.labels(model) for model in models},
    )
    sets: dict[str, dict[str, object]] = {}
    for name in options.sets.split(","):
        data = read_set(name, options, hub)
        with tempfile.TemporaryDirectory() as folder:
            query = Query.of(data, hub.encoder, Path(folder), options.max_models)
            sets[name] = measure(query, hub, known)
            sets[name]["stability"] = stability(query, hub, known)
    result = {
        "what": "models found in a hub of 22 as a third voice, five labelled sets",
        "probes": len(hub.probes),
        "max_models": options.max_models,
        "sets": sets,
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
