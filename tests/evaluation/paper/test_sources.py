"""`lagotto eval paper --sources`: the paper's table of probe sources, on planted answers."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from colour_world import World
from command_line import lagotto
from lagotto.core.errors import UsageError
from lagotto.evaluation.paper.tables import Bench, PaperTable, paper_tables
from lagotto.evaluation.retrieval.logit_table import ModelLogits, table_of
from lagotto.evaluation.retrieval.queries import Queries
from lagotto.hub.hub import Hub
from lagotto.hub.query.probe_weights import ProbeSpace

CONCEPTS, SHOWN = 12, 4
SOURCES = ("photos", "drawn", "leaves", "noise")


def bench(seed: int = 0) -> Bench:
    """Each source shows each concept on as many probes; models answer to photos and drawn alone.

    To drawn probes they answer as if they showed the next concept.
    """
    rng = np.random.default_rng(seed)
    concepts = np.eye(CONCEPTS, dtype=np.float32)
    shown = np.tile(np.arange(CONCEPTS), SHOWN * len(SOURCES))
    sources = tuple(np.repeat(SOURCES, CONCEPTS * SHOWN).tolist())
    answers = rng.normal(0, 0.1, (len(shown), CONCEPTS))
    for row, source in enumerate(sources):
        if source == "photos":
            answers[row, shown[row]] += 3
        elif source == "drawn":
            answers[row, (shown[row] + 1) % CONCEPTS] += 3
    labels = [f"name {number}" for number in range(CONCEPTS)]
    space = ProbeSpace(concepts[shown], concepts, 20.0)
    logits = ModelLogits("m", labels, answers.astype(np.float32))
    cosines = concepts @ space.probes.T
    asked = Queries(
        *("text", True, tuple(labels), concepts, cosines, cosines),
        tuple(np.array([number]) for number in range(CONCEPTS)),
        np.full(CONCEPTS, -1),
    )
    return Bench(table_of([logits], space, sources, "digest"), (asked,), SHOWN)


def top1(table: PaperTable) -> dict[str, float]:
    return {row.name: row.cells[0].top1.value for row in table.rows}


def test_each_source_stands_alone_and_all_are_last() -> None:
    (table,) = paper_tables(bench(), sources=list(SOURCES))
    assert table.name == "sources"
    found = top1(table)
    assert [*found] == [*SOURCES, "all probes"]
    assert found["photos"] == 1.0
    assert found["drawn"] == 0.0
    assert max(found["leaves"], found["noise"]) < 0.5
    assert {row.name: row.probes for row in table.rows} == {
        **dict.fromkeys(SOURCES, CONCEPTS * SHOWN),
        "all probes": CONCEPTS * SHOWN * len(SOURCES),
    }


def test_the_sources_wanted_are_those_measured_in_their_order() -> None:
    (table,) = paper_tables(bench(), sources=["drawn", "photos", "drawn"])
    assert [row.name for row in table.rows] == ["drawn", "photos", "all probes"]
    with pytest.raises(
        UsageError, match=r"no probes of a source 'photo'; there are: photos, drawn"
    ):
        [*paper_tables(bench(), sources=["photo"])]


def test_the_command_prints_the_table_of_a_hub(world: World, tmp_path: Path) -> None:
    names = ("photos", "drawn.parquet", "leaves", "noise.parquet")
    folders = [tmp_path / name for name in names]
    pictures = sorted(world.pictures.glob("*_*.png"))[:32]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for picture in pictures[number::4]:
            shutil.copy(picture, folder)
    hub = Hub.create(tmp_path / "hub", folders, str(world.encoder))
    hub.add(world.models)
    words = ("eval", "paper", tmp_path / "hub", "--k", "2", "--sources")
    answer = lagotto(*words, ",".join(names))
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0].startswith("sources: source of the probes (Top-1")
    first = [line.split("  ")[0].strip() for line in lines]
    assert [name for name in first if name in names] == list(names)
    table = lagotto(*words, "noise.parquet, photos", "--json").json["tables"][0]
    assert [row["name"] for row in table["rows"]] == ["noise.parquet", "photos", "all probes"]
    assert [row["probes"] for row in table["rows"]] == [8, 8, 32]
    lagotto(*words, "photo").refused(2, "no probes of a source 'photo'", "Did you mean 'photos'?")
