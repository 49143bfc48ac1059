r"""Models found in a hub as a third voice: which evidence finds them, and what they are worth.

    python benchmarks/quality/specialists.py --assets DIR --hub HUB --json \
        > benchmarks/results/quality_specialists.json

HUB: the shared models on flickr8k + coco (`lagotto hub create`, `lagotto hub add`). The encoder and
every model see every picture once (kept in --cache DIR); everything else is arithmetic on that.
Labels score, and are used for nothing else. `half` 0 was for choosing, 1 for reporting, by a hash
of the picture's name; see docs/results.md for how often was looked.
"""

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path

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
from lagotto.specialists.matching import NAMES_AGREE, label_output_agreement
from lagotto.specialists.model_runs import Runnable
from lagotto.specialists.pixel_batches import PixelFile
from lagotto.specialists.probe_evidence import EncoderView, first_order_gain

SETS = ("cifar10", "flowers5", "cats-dogs", "imagenet100x5", "grocery43")
GOOD = {
    "cifar10": ("akamaster", "bcom5", "mlperf-cifar10"),
    "flowers5": ("tuxxon", "abdoconan"),
    "cats-dogs": ("tm-catdog2", "tm-felines", "akamaster", "bcom5", "mlperf-cifar10"),
    "imagenet100x5": ("coral-mobilenet",),
    "grocery43": ("coral-mobilenet", "tm-fruit4"),
}
"""Of each set the models that are taken away, to see that the rest does no harm."""

SEEDS = (0, 1, 2, 3, 4)
SHARE = 0.8


@dataclass(frozen=True)
class Data:
    """A labelled set as encoder and models see it."""

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
    """What the hub keeps of its models."""

    responses: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[str | None, ...]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def read_set(name: str, options: argparse.Namespace, hub: lagotto.Hub) -> Data:
    """The set, looked at once; later runs read what was kept."""
    folder = options.assets / "photos" / name
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    labels = tuple(sorted({row["label"] for row in rows}))
    kept = options.cache / f"{name}.npz"
    if not kept.is_file():
        say(f"{name}: encoder and models look at {len(rows)} pictures")
        pictures = [decode_picture(read_picture_file(folder / row["image"])) for row in rows]
        pixels = [to_pixels(picture, hub.encoder.info.pixels) for picture in pictures]
        found = {
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
            found[source.name] = model.logits(np.stack([to_pixels(p, spec) for p in pictures]))
        np.savez(kept, **found)
    stored = dict(np.load(kept))
    info = hub.encoder.info
    prompts = hub.encoder.embed_texts([info.prompt_template.format(label) for label in labels])
    embeddings = stored.pop("embeddings")
    return Data(
        name,
        labels,
        np.array([labels.index(row["label"]) for row in rows]),
        np.array([hashlib.sha256(row["image"].encode()).digest()[0] % 2 for row in rows]),
        info.logit_scale * (embeddings @ prompts.T).astype(np.float64),
        info.logit_scale * (hub.probe_embeddings @ prompts.T).astype(np.float64),
        {model: values.astype(np.float64) for model, values in stored.items()},
        [folder / row["image"] for row in rows],
        embeddings,
    )


def scored(data: Data, given: np.ndarray, models: list[str] | None = None) -> dict[str, object]:
    hits = given == data.truth
    interval = mean_interval(hits)
    row: dict[str, object] = {
        "acc1": round(float(hits.mean()), 4),
        "ci95": [round(interval.low, 4), round(interval.high, 4)],
        "report_half": round(float(hits[data.half == 1].mean()), 4),
    }
    return row | ({} if models is None else {"models": models})


def alone(data: Data, known: Known) -> dict[str, object]:
    """Each kind of evidence for itself: the model it puts first, and how right that is.

    Only models with as many outputs as there are labels are ranked: what one kind of evidence says
    of the others cannot be told from chance.
    """
    seen, probed = EncoderView.of(data.logits), EncoderView.of(data.probe_logits)
    ranked: dict[str, list[tuple[float, str, np.ndarray]]] = {
        kind: [] for kind in ("pictures", "probes", "names", "pictures and probes")
    }
    for model, logits in data.models.items():
        responses = known.responses[model]
        if logits.shape[1] < len(data.labels):
            continue
        shares, on_probes = softmax(logits), softmax(responses)
        by_pictures = first_order_gain(softmax(seen.logits), shares)
        by_probes = first_order_gain(softmax(probed.logits), on_probes)
        a, b, c = map(best_assignment, (by_pictures, by_probes, by_pictures + by_probes))
        ranked["pictures"].append((fit_votes(seen.logits, shares, a).log_likelihood_gain, model, a))
        ranked["probes"].append(
            (fit_votes(probed.logits, on_probes, b).log_likelihood_gain, model, b)
        )
        both = (
            fit_votes(seen.logits, shares, c).log_likelihood_gain
            + fit_votes(probed.logits, on_probes, c).log_likelihood_gain
        )
        ranked["pictures and probes"].append((both, model, c))
        said = named_outputs(data.labels, known.names[model])
        share = len(said[said >= 0]) / logits.shape[1]
        ranked["names"].append(((said >= 0).sum() + share, model, said))
    rows: dict[str, object] = {}
    for kind, each in ranked.items():
        _, model, outputs = max(each, key=lambda row: row[0])
        chosen = data.models[model][:, outputs] if (outputs >= 0).all() else None
        right = named_outputs(data.labels, known.names[model])
        rows[kind] = {
            "first": model,
            "outputs_right": int(((outputs == right) & (right >= 0)).sum()),
            "outputs_named": int((right >= 0).sum()),
            "its_accuracy": None
            if chosen is None
            else round(float((chosen.argmax(axis=1) == data.truth).mean()), 4),
        }
    return rows


def lists(data: Data, known: Known) -> dict[str, object]:
    """How far the pictures agree with each published list that names a label (1: as with the
    outputs that fit best), and, for a model of just these labels, with how many orders of its list
    they would agree enough for it to be believed."""
    view = softmax(EncoderView.of(data.logits).logits)
    rows: dict[str, object] = {}
    for model, logits in data.models.items():
        outputs = named_outputs(data.labels, known.names[model])
        named = np.flatnonzero(outputs >= 0)
        if not len(named):
            continue
        table = label_output_agreement(view, softmax(logits))[named]
        best = best_assignment(table)
        most = float(table[best >= 0, best[best >= 0]].clip(min=0).sum())
        row: dict[str, object] = {
            "names": len(named),
            "agree": round(float(table[np.arange(len(named)), outputs[named]].sum()) / most, 3),
        }
        if len(named) == logits.shape[1] <= 6:
            orders = [list(order) for order in permutations(outputs[named].tolist())]
            sums = [float(table[np.arange(len(named)), order].sum()) for order in orders]
            row["orders"] = len(orders)
            row["orders_that_agree"] = sum(each >= NAMES_AGREE * most for each in sums)
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
    """20 models without names: of 10 the outputs are permuted, of 10 mixed by a random matrix."""
    rng = np.random.default_rng(seed)
    made = {}
    for number in range(20):
        model = list(data.models)[rng.integers(len(data.models))]
        logits, responses = data.models[model], known.responses[model]
        outputs = logits.shape[1]
        if number % 2:
            order = rng.permutation(outputs)
            made[f"decoy{number:02d}"] = logits[:, order], responses[:, order]
        else:
            mix = rng.normal(size=(outputs, outputs)) / np.sqrt(outputs)
            centre = responses.mean(axis=0)
            made[f"decoy{number:02d}"] = (logits - centre) @ mix, (responses - centre) @ mix
    return made


class SeenImages:
    """A hub as a scenario wants it: with other names, without some models, with decoys beside."""

    def __init__(
        self,
        hub: lagotto.Hub,
        known: Known,
        names: Mapping[str, tuple[str | None, ...]],
        without: tuple[str, ...] = (),
        more: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> None:
        self.probe_embeddings = hub.probe_embeddings
        self._names = names
        self._responses = dict(known.responses) | {
            name: responses for name, (_, responses) in (more or {}).items()
        }
        there = [each for each in hub.records() if not each.name.startswith(without or ("-",))]
        by_width = {each.outputs: each for each in hub.records()}
        self._records = there + [
            replace(by_width[responses.shape[1]], name=name)
            for name, (_, responses) in (more or {}).items()
        ]

    def records(self) -> tuple[ModelRecord, ...]:
        return tuple(self._records)

    def labels(self, name: str) -> tuple[str | None, ...]:
        return self._names.get(name, ())

    def seen_probes(self, name: str) -> np.ndarray:
        return np.arange(len(self.probe_embeddings))

    def answered(self, name: str) -> np.ndarray:
        return self._responses[name].astype(np.float32)


class Kept:
    """Encoder and workers that answer from what was kept: a picture is known by its pixels."""

    def __init__(self, data: Data, encoder: Encoder, folder: Path) -> None:
        self.info, self.folder = encoder.info, folder
        self.failures: dict[str, str] = {}
        self.models = dict(data.models)
        self._files = data.files
        self._embeddings = data.embeddings
        self._rows: dict[PixelSpec, dict[bytes, int]] = {}

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._embeddings[self._places(self.info.pixels, pixels)]

    def warm(self, models: Sequence[Runnable]) -> None:
        pass

    def logits(
        self, models: Sequence[Runnable], sheets: Sequence[Mapping[PixelSpec, PixelFile]]
    ) -> dict[str, np.ndarray]:
        rows = [
            place
            for sheet in sheets
            for place in self._places(models[0].pixels, sheet[models[0].pixels].array())
        ]
        return {m.record.name: self.models[m.record.name][rows] for m in models}

    def _places(self, spec: PixelSpec, pixels: np.ndarray) -> list[int]:
        if spec not in self._rows:
            decoded = (decode_picture(read_picture_file(file)) for file in self._files)
            self._rows[spec] = {
                hashlib.sha256(to_pixels(each, spec).tobytes()).digest(): row
                for row, each in enumerate(decoded)
            }
        return [self._rows[spec][hashlib.sha256(each.tobytes()).digest()] for each in pixels]


@dataclass(frozen=True)
class Query:
    """Asks any hub about a set, or about some of its pictures, as a user would."""

    data: Data
    prompts: np.ndarray
    kept: Kept
    most: int

    @classmethod
    def of(cls, data: Data, encoder: Encoder, folder: Path, most: int) -> "Query":
        prompts = [encoder.info.prompt_template.format(label) for label in data.labels]
        return cls(data, encoder.embed_texts(prompts), Kept(data, encoder, folder), most)

    def row(self, hub: SeenImages, places: Sequence[int] | None = None) -> dict[str, object]:
        """What the finder chooses, and what that is worth on all pictures."""
        scale = self.kept.info.logit_scale
        question = SpecialistQuery(
            self.data.labels,
            self.prompts,
            lambda e: np.log(softmax((scale * (e @ self.prompts.T)).astype(float))),
            self.most,
        )
        chosen = range(len(self.data.files)) if places is None else places
        reads = [partial(read_picture_file, self.data.files[place]) for place in chosen]
        finder = Finder(hub, self.kept, question, self.kept)  # type: ignore[arg-type]
        choice = finder.find(reads, Silent()).selection
        scores = combine_votes(softmax(self.data.logits), choice, self.kept.models)
        return scored(self.data, scores.argmax(axis=1), [each.model for each in choice.matches])


def stability(query: Query, hub: lagotto.Hub, known: Known) -> dict[str, object]:
    """The models that the finder chooses for other queries of the same kind, and what they are
    worth on all pictures: SHARE of the pictures drawn anew for each seed; each four times.
    """
    count = len(query.data.files)
    queries = {
        f"seed {seed}": np.random.default_rng(seed).permutation(count)[: int(SHARE * count)]
        for seed in range(10)
    }
    queries["each four times"] = np.tile(np.arange(count), 4)
    found: dict[str, object] = {}
    for evidence, names in (("with names", known.names), ("behaviour only", {})):
        rows = {
            name: query.row(SeenImages(hub, known, names), each) for name, each in queries.items()
        }
        for name, row in rows.items():
            say(f"{query.data.name:14} {evidence:14} {name:16} {row}")
        drawn = [row["acc1"] for name, row in rows.items() if name.startswith("seed")]
        found[evidence] = {
            "mean": round(float(np.mean(drawn)), 4),
            "sd": round(float(np.std(drawn)), 4),
            "worst": min(drawn),
            "best": max(drawn),
            "sets_of_models": len({frozenset(row["models"]) for row in rows.values()}),
            "queries": rows,
        }
    return found


def measure(query: Query, hub: lagotto.Hub, known: Known) -> dict[str, object]:
    """Every scenario on one set: the whole of it is the query, models are chosen by the finder."""
    data = query.data

    def row(names: Mapping[str, tuple[str | None, ...]] | None = None, **given: object) -> object:
        query.kept.models = dict(data.models) | {
            name: logits
            for name, (logits, _) in given.get("more", {}).items()  # type: ignore[attr-defined]
        }
        return query.row(SeenImages(hub, known, names or {}, **given))  # type: ignore[arg-type]

    rows: dict[str, object] = {"image-only": scored(data, data.logits.argmax(axis=1))}
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
    query.kept.models = dict(data.models)
    for name, each in rows.items():
        say(f"{data.name:14} {name:42} {each}")
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
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    result = {
        "what": "models found in a hub of 22 as a third voice, five labelled sets",
        "probes": len(hub.probes),
        "max_models": options.max_models,
        "sets": sets,
        "commit": done.stdout.strip() or "unknown",
        "machine": f"{platform.machine()}, {platform.system()}",
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
