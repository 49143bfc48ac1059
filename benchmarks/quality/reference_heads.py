"""The mini-hub with a share of its heads labelled: do the labels find the outputs of the others?

Read by references.py. The heads stand on three backbones. Both `across` and `all on` ask only for
heads on other backbones than those that are labelled: `across` labels those of the tenth that stand
on one backbone, `all on` a tenth of all heads, drawn from one backbone. Every row has the rule that
reads no label beside.
"""

import json
import tempfile
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from calibration.worlds import half
from lagotto.core.text.names import name_words
from lagotto.encoders.background.words import background_words
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.retrieval.raw_responses import RawResponses, read_raw_responses
from lagotto.hub.descriptors.blocks import BlockSource, build_blocks, open_blocks
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.labels.named import named_through
from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.table import Twins, choose_teachers, join_twins
from lagotto.hub.query.boolean import SINGLE
from lagotto.hub.query.probe_weights import ProbeSpace, weigh_texts
from lagotto.hub.query.types import ConceptQuery
from lagotto.hub.search.rerank import HitRequest, rank_by_evidence
from lagotto.hub.store.responses import ResponsesHeader, read_responses, write_responses
from lagotto.hub.text.matching import NOBODY, Named

DIGEST = "d" * 64
SHARE = 0.1


def mini_hub(assets: Path, encoder_name: str, seed: int) -> dict[str, Any]:
    """Top-1 of the class names over the heads that are not labelled, by labels and by behaviour."""
    encoder = load_encoder(encoder_name)
    raw = read_raw_responses(assets / "inet-mini-hub")
    backbones = read_backbones(raw)
    prompt = encoder.info.prompt_template.replace
    background = np.concatenate(
        [
            encoder.embed_texts([prompt("{}", word) for word in background_words()[place::8]])
            for place in range(8)
        ]
    )
    space = ProbeSpace(raw.embeddings, background, encoder.info.logit_scale)
    answer: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        index = build_index(raw, Path(folder))
        names = sorted({label for model in raw.models for label in model.labels})
        embeddings = encoder.embed_texts([prompt("{}", name) for name in names])
        weights, coverage = weigh_texts(space, embeddings)
        directions = embeddings - space.background_mean
        concepts = [
            ConceptQuery(*fields)
            for fields in zip(weights, directions, names, coverage.tolist(), strict=True)
        ]
        drawn = np.random.default_rng(seed).permutation(len(raw.models))
        tenth = set(drawn[: round(SHARE * len(drawn))].tolist())
        answer["a tenth labelled"] = ask_heads(raw, index, concepts, tenth, tenth)
        for backbone in sorted(set(backbones)):
            same = {place for place, owner in enumerate(backbones) if owner == backbone}
            answer[f"across, from {backbone}"] = ask_heads(raw, index, concepts, tenth & same, same)
            as_many = set([place for place in drawn.tolist() if place in same][: len(tenth)])
            answer[f"a tenth, all on {backbone}"] = ask_heads(raw, index, concepts, as_many, same)
    return answer


def ask_heads(
    raw: RawResponses,
    index: LogitIndex,
    concepts: list[ConceptQuery],
    labelled: Collection[int],
    unsought: Collection[int],
) -> dict[str, Any]:
    """Top-1 on the odd half over heads that are not unsought.

    `named` are the texts that a labelled head has; the others have no teacher.
    """
    firsts = index.firsts
    teachers = choose_teachers(
        [
            (model, int(firsts[model]) + logit, label)
            for model in sorted(labelled)
            for logit, label in enumerate(raw.models[model].labels)
        ]
    )
    finder = TwinFinder(index, teachers)
    owners = [model for model in range(len(raw.models)) if model not in labelled]
    columns = [firsts[model] + np.arange(len(raw.models[model].labels)) for model in owners]
    twins = join_twins([finder.of_model(*pair) for pair in zip(owners, columns, strict=True)])
    label_of = [label for model in raw.models for label in model.labels]
    hidden = tuple(index.columns_of(raw.models[model].name) for model in unsought)
    right: dict[str, list[bool]] = {"taught": [], "behaviour": []}
    with_teacher: list[bool] = []
    for concept in concepts:
        if half(concept.text) == 0:
            continue
        words = name_words(concept.text)
        named = taught_names(teachers.columns, label_of, words, twins)
        with_teacher.append(named is not NOBODY)
        for way, names in (("taught", named), ("behaviour", NOBODY)):
            query = replace(concept, named=names)
            request = HitRequest(1, hidden=hidden)
            ranked = rank_by_evidence(index, [query], SINGLE, 50, request)
            right[way].append(label_of[int(ranked.columns[0])] == concept.text)
    return {
        "heads_labelled": len(labelled),
        "texts": len(right["taught"]),
        **{way: round(float(np.mean(part)), 4) for way, part in right.items()},
        "named": int(np.sum(with_teacher)),
        **{
            f"{way}, named": round(float(np.mean(np.array(part)[with_teacher])), 4)
            for way, part in right.items()
        },
    }


def taught_names(
    teachers: np.ndarray, label_of: list[str], words: frozenset[str], twins: Twins
) -> Named:
    """The labelled outputs with just these words, and their twins."""
    columns = np.array([c for c in teachers.tolist() if name_words(label_of[c]) == words], np.int64)
    ones = np.ones(len(columns), np.float32)
    return named_through(Named(columns, ones, ones), [twins]) if len(columns) else NOBODY


def build_index(raw: RawResponses, folder: Path) -> LogitIndex:
    """The heads as the logits of a hub."""
    paths = {}
    for place, model in enumerate(raw.models):
        digest = f"{place:064x}"
        paths[digest] = folder / f"{digest}.safetensors"
        header = ResponsesHeader(digest, DIGEST, "onnx", "cut")
        write_responses(paths[digest], np.asarray(model.values, np.float32), header)
    (folder / "blocks").mkdir()
    sources = [BlockSource(digest, path) for digest, path in paths.items()]
    build_blocks(folder / "blocks", sources, DIGEST, projector(raw.embeddings))
    return LogitIndex(
        blocks=open_blocks(folder / "blocks", DIGEST),
        names={digest: raw.models[int(digest, 16)].name for digest in paths},
        labels=lambda digest: raw.models[int(digest, 16)].labels,
        read=cache(lambda digest: read_responses(paths[digest])),
    )


def read_backbones(raw: RawResponses) -> list[str]:
    """The backbone of each head."""
    listed = json.loads((raw.folder / "models.json").read_text())["models"]
    return [str(entry["backbone"]) for entry in listed]
