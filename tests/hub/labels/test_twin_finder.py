"""Twins among planted outputs: models that share concepts and answer with noise of their own."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lagotto.core.vectors import unit_rows
from lagotto.hub.descriptors.blocks import SEEN_ONLY, BlockSource, build_blocks, open_blocks
from lagotto.hub.descriptors.projection import projector
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.partial import find_partial_models
from lagotto.hub.labels.twins.finder import TwinFinder
from lagotto.hub.labels.twins.table import choose_teachers
from lagotto.hub.store.responses import (
    ResponsesHeader,
    SeenProbes,
    read_responses,
    write_responses,
)

PROBES = 400
PROBE_SET = "ab" * 32
CONCEPTS = {
    "teacher": range(12),
    "other way round": range(11, -1, -1),
    "stranger": range(20, 32),
    "saw some": range(3, 15),
    "teacher that saw some": range(12),
}
SEEN = {"saw some": slice(0, 240), "teacher that saw some": slice(80, 400)}


def responses(model: str, seed: int = 0) -> np.ndarray:
    """A clear answer to the probes of its concept, and noise."""
    rng = np.random.default_rng(seed + len(model))
    values = rng.normal(0, 0.6, (PROBES, len(CONCEPTS[model])))
    for output, concept in enumerate(CONCEPTS[model]):
        values[:, output] += 3 * np.random.default_rng(100 + concept).gamma(0.5, size=PROBES)
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> LogitIndex:
    folder = tmp_path_factory.mktemp("twins")
    paths: dict[str, Path] = {}
    sources = []
    for number, model in enumerate(CONCEPTS):
        digest = f"{number:064x}"
        paths[digest] = folder / f"{digest}.safetensors"
        header = ResponsesHeader(digest, PROBE_SET, "onnx", "cut")
        if model in SEEN:
            seen = np.arange(PROBES)[SEEN[model]]
            write_responses(paths[digest], responses(model)[seen], header, SeenProbes(seen, PROBES))
        else:
            write_responses(paths[digest], responses(model), header)
        made_with = SEEN_ONLY if model in SEEN else ""
        sources.append(BlockSource(digest, paths[digest], None, made_with))
    embeddings = np.random.default_rng(4).normal(size=(PROBES, 5)).astype(np.float32)
    build_blocks(folder / "blocks", sources, PROBE_SET, projector(unit_rows(embeddings)))
    blocks = open_blocks(folder / "blocks", PROBE_SET)
    read = cache(lambda digest: read_responses(paths[digest]))
    return LogitIndex(
        blocks=blocks,
        names=dict(zip(paths, CONCEPTS, strict=True)),
        labels=lambda digest: [None] * 12,
        read=read,
        partial_models=find_partial_models(blocks, lambda digest: read(digest).seen_probes),
    )


def finder(index: LogitIndex, *teachers: str) -> TwinFinder:
    labelled = [
        (model, index.columns_of(name).start + output, f"concept {concept}")
        for model, name in enumerate(teachers)
        for output, concept in enumerate(CONCEPTS[name])
    ]
    return TwinFinder(index, choose_teachers(labelled))


def concepts_of(index: LogitIndex, columns: np.ndarray) -> list[int]:
    every = [concept for name in CONCEPTS for concept in CONCEPTS[name]]
    return [every[column] for column in columns.tolist()]


@pytest.mark.parametrize("teacher", ["teacher", "teacher that saw some"])
@pytest.mark.parametrize("pupil", ["other way round", "saw some"])
def test_twins_are_found_on_what_both_models_saw(
    index: LogitIndex, teacher: str, pupil: str
) -> None:
    wanted = index.columns_of(pupil)
    columns = np.arange(wanted.start, wanted.stop)
    found = finder(index, teacher).of_model(list(CONCEPTS).index(pupil), columns)
    likely = found.probability >= 0.5
    shared = set(CONCEPTS[teacher]) & set(CONCEPTS[pupil])
    assert concepts_of(index, found.columns[likely]) == concepts_of(index, found.teachers[likely])
    assert set(concepts_of(index, found.columns[likely])) >= shared - {3}
    assert (np.diff(found.teachers) >= 0).all()


def test_a_model_that_knows_none_of_the_names_has_no_twin(index: LogitIndex) -> None:
    wanted = index.columns_of("stranger")
    columns = np.arange(wanted.start, wanted.stop)
    found = finder(index, "teacher").of_model(2, columns)
    assert not (found.probability >= 0.3).any()


def test_no_output_is_a_twin_of_its_own_model(index: LogitIndex) -> None:
    columns = np.arange(12)
    assert len(finder(index, "teacher").of_model(0, columns).columns) == 0


def test_labels_of_two_teachers_that_disagree_cancel(index: LogitIndex) -> None:
    labelled = [
        (model, index.columns_of(name).start + output, f"concept {(concept + model) % 12}")
        for model, name in enumerate(("teacher", "other way round"))
        for output, concept in enumerate(CONCEPTS[name])
    ]
    disagreeing = TwinFinder(index, choose_teachers(labelled))
    columns = np.arange(36, 48)
    alone = finder(index, "teacher").of_model(3, columns)
    both = disagreeing.of_model(3, columns)
    assert both.probability.max() < alone.probability.max() - 0.2
    ((one, other, shared, alike),) = disagreeing.disagreements()
    assert (one, other, shared, alike) == (0, 1, 12, 0)
    assert not list(finder(index, "teacher", "other way round").disagreements())


def test_a_model_outside_the_hub_has_the_twins_that_it_would_have_inside(
    index: LogitIndex,
) -> None:
    values = standardize(responses("other way round")).values
    outside = finder(index, "teacher").of_responses(values)
    inside = finder(index, "teacher").of_model(1, np.arange(12, 24))
    assert (outside.columns + 12).tolist() == inside.columns.tolist()
    np.testing.assert_allclose(outside.probability, inside.probability, atol=0.05)
