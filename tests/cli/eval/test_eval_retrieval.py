"""`lagotto eval retrieval` and `lagotto eval paper`: tables, JSON, plots, and what they refuse."""

import json
from pathlib import Path

import pytest
from PIL import Image

from colour_world import NAMES, World, planted
from command_line import lagotto, lagotto_process
from lagotto.core.registry import Adapter
from lagotto.evaluation.paper import plots
from lagotto.hub.hub import Hub
from retrieval_makers import write_responses

RETRIEVAL, PAPER = ("eval", "retrieval"), ("eval", "paper")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every colour, and one that no model knows."""
    queries = [
        {"text": name, "kind": name[0], "relevant": sorted(map(list, planted(name)))}
        for name in NAMES
    ]
    queries.append({"text": "a photo", "kind": "r", "relevant": [["gone", 0]]})
    file = tmp_path_factory.mktemp("truth") / "truth.json"
    file.write_text(json.dumps({"queries": queries}))
    return file


@pytest.fixture(scope="module")
def responses(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_responses(tmp_path_factory.mktemp("raw") / "heads", Hub.open(world.hub))


def test_a_truth_file(world: World, truth: Path) -> None:
    answer = lagotto(*RETRIEVAL, world.hub, "--truth", truth, "--k", "5", "--json")
    found = answer.json
    assert (found["queries"], found["top1"], found["top5"]) == (8, 1.0, 1.0)
    assert found["ci95"] == [1.0, 1.0]
    assert (found["method"]["left_out"], found["method"]["k"]) == (1, 5)
    assert len(found["method"]["truth"]) == 64
    assert {"default", "paper", "full-query", "model-level", "keyword"} <= {
        row["rule"] for row in found["rows"]
    }
    row = next(row for row in found["rows"] if (row["rule"], row["kind"]) == ("paper", "b"))
    assert (row["queries"], row["top1"]) == (2, 1.0)
    assert set(row["ci95"]) == {"top1", "top5", "precision5", "mrr", "model_recall"}
    assert "details" not in found
    assert answer.err == (
        "note: 1 queries of the truth name no logit of these models and are left out\n"
    )


def test_the_labels_are_the_truth_unless_there_is_a_file(world: World) -> None:
    found = lagotto(*RETRIEVAL, world.hub, "--k", "5", "--json").json
    assert [(row["kind"], row["queries"]) for row in found["rows"] if row["rule"] == "paper"] == [
        ("label", 8),
        ("logit", 19),
    ]
    assert (found["method"]["truth"], found["queries"]) == ("labels", 8)
    table = lagotto(*RETRIEVAL, world.hub, "--k", "5").out.splitlines()
    assert table[0].split()[:4] == ["kind", "rule", "queries", "top1"]
    assert table[1].split()[:4] == ["label", "default", "8", f"{found['top1']:.3f}"]


def test_confidence_is_drawn_against_what_is_right(
    world: World, truth: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "reliability.png"
    words = (*RETRIEVAL, world.hub, "--truth", truth, "--k", "5", "--plot", plot)
    answer = lagotto(*words, "--json")
    found = answer.json["reliability"]
    assert found["queries"] == 8
    assert sum(item["hits"] for item in found["bins"]) == found["hits"] > 8
    hits = Hub.open(world.hub).search("red")
    known = sum((hit.model, hit.logit) in planted("red") for hit in hits)
    assert 0 < known <= sum(round(item["hits"] * item["right"]) for item in found["bins"])
    assert f"plot: {plot}\n" in answer.err
    with Image.open(plot) as picture:
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 50
    assert "points off on average" in lagotto(*words).out
    lagotto(
        *RETRIEVAL, "--responses", tmp_path, "--encoder", world.encoder, "--plot", plot
    ).refused(2, "--plot needs a HUB")


def test_one_record_a_query(world: World, truth: Path) -> None:
    words = (*RETRIEVAL, world.hub, "--truth", truth, "--k", "5", "--details")
    records = lagotto(*words, "--json").json["details"]
    assert len(records) == 8
    red = next(record for record in records if record["query"] == "red")
    assert (red["kind"], red["answers"]) == ("r", len(planted("red")))
    assert red["ranks"]["paper"] == 1
    for hit in red["hits"]:
        assert hit["right"] == ((hit["model"], hit["logit"]) in planted("red"))
    shown = lagotto(*words).out
    assert "rank of the best right logit" in shown
    assert any(line.split()[:2] == ["r", "red"] for line in shown.splitlines())


def test_behaviour_only_leaves_out_what_reads_names(world: World, truth: Path) -> None:
    words = (*RETRIEVAL, world.hub, "--truth", truth, "--behaviour-only", "--json")
    found = lagotto(*words).json
    assert found["method"]["behaviour_only"] is True
    assert not {row["rule"] for row in found["rows"]} & {"keyword", "hybrid"}


def test_raw_responses_in_place_of_a_hub(world: World, truth: Path, responses: Path) -> None:
    words = ("--truth", truth, "--k", "5", "--json")
    raw = ("--responses", responses, "--encoder", world.encoder)
    found, hub = (lagotto(*RETRIEVAL, *given, *words).json for given in (raw, (world.hub,)))
    assert found["method"].pop("data_digest") != hub["method"].pop("data_digest")
    for key in ("queries", "top1", "top5", "method"):
        assert found[key] == hub[key], key
    tables = lagotto(*PAPER, *raw, *words).json["tables"]
    assert [row["name"] for row in tables[1]["rows"]] == ["all probes"]
    assert tables[0]["rows"][1]["cells"][0]["top1"] == 1


def test_the_logits_of_another_hub_ask(world: World) -> None:
    words = (*RETRIEVAL, world.hub, "--asking", world.hub, "--k", "5", "--json")
    found = lagotto(*words).json
    asked = [row for row in found["rows"] if (row["kind"], row["rule"]) == ("logit", "paper")]
    assert [(row["queries"], row["top1"]) for row in asked] == [(19, 1.0)]  # each finds itself
    assert found["method"]["asking_digest"] == found["method"]["data_digest"]
    lagotto(*RETRIEVAL, world.hub, "--asking", world.empty_hub).refused(2, "no model yet")


def test_a_results_file_is_written_once_and_never_overwritten(
    world: World, truth: Path, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    words = (*RETRIEVAL, world.hub, "--truth", truth)
    first = lagotto(*words, "--out", file)
    assert (first.code, f"results: {file}" in first.err) == (0, True)
    before = file.read_bytes()
    assert json.loads(before) == lagotto(*words, "--json").json
    for command in (RETRIEVAL, PAPER):
        lagotto(*command, world.hub, "--out", file).refused(2, "exists already", "another name")
    assert file.read_bytes() == before


def test_the_papers_tables_and_figures(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "plots"
    words = (*PAPER, world.hub, "--k", "10", "--max-queries", "6")
    answer = lagotto(*words, "--plots", folder)
    assert answer.code == 0, answer
    assert f"written: {folder}" in answer.err
    names = ["rules", "sources", "selections", "k", "probes"]
    assert [line.split(":")[0] for line in answer.out.splitlines() if ": " in line] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.png" for n in names)
    for path in folder.iterdir():
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert len(picture.convert("L").resize((64, 64)).getcolors() or []) > 5
    found = lagotto(*words, "--json").json
    assert [table["name"] for table in found["tables"]] == names
    cells = found["tables"][0]["rows"][0]["cells"]
    assert [(cell["kind"], cell["queries"]) for cell in cells] == [("label", 6), ("logit", 6)]
    lagotto(*words, "--plots", folder).refused(2, "is not empty", "new folder")


def test_plots_need_their_package(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Adapter("lagotto_without_matplotlib", "write", "lagotto_without_matplotlib", "plots")
    monkeypatch.setitem(plots._ADAPTERS, "png", gone)
    answer = lagotto(*PAPER, world.hub, "--plots", tmp_path / "plots")
    answer.refused(1, "pip install 'lagotto[plots]'")
    assert not (tmp_path / "plots").exists()


def test_what_cannot_be_is_said_in_one_line(
    world: World, truth: Path, responses: Path, tmp_path: Path
) -> None:
    raw = ("--responses", responses)
    lagotto(*RETRIEVAL).refused(2, "nothing given", "--responses DIR")
    lagotto(*RETRIEVAL, world.hub, *raw).refused(2, "HUB and --responses given")
    lagotto(*RETRIEVAL, *raw).refused(2, "needs --encoder")
    lagotto(*RETRIEVAL, "--responses", tmp_path, "--encoder", world.encoder).refused(2, "models")
    lagotto(*RETRIEVAL, world.empty_hub).refused(2, "no model yet", "hub add")
    lagotto(*RETRIEVAL, tmp_path / "none").refused(1, "no hub at")
    lagotto(*RETRIEVAL, world.hub, "--truth", tmp_path / "t.json").refused(2, "t.json")
    strange = tmp_path / "strange.json"
    strange.write_text(json.dumps({"queries": [{"text": "red", "relevant": [["no", 1]]}]}))
    lagotto(*RETRIEVAL, world.hub, "--truth", strange).refused(2, "none of the 1 queries")
    nameless = write_nameless(tmp_path / "nameless", responses)
    words = ("--responses", nameless, "--encoder", world.encoder)
    lagotto(*RETRIEVAL, *words).refused(2, "no model has labels", "--truth FILE")


def write_nameless(folder: Path, responses: Path) -> Path:
    """The same responses, all labels LABEL_0."""
    folder.mkdir()
    for file in responses.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    content = json.loads((folder / "models.json").read_text())
    for model in content["models"]:
        model["labels"] = ["LABEL_0"] * len(model["labels"])
    (folder / "models.json").write_text(json.dumps(content))
    return folder


@pytest.mark.thorough
def test_in_a_process_of_its_own(world: World, truth: Path) -> None:
    words = (*RETRIEVAL, world.hub, "--truth", truth, "--k", "5", "--json", "--quiet")
    found = lagotto_process(*words)
    assert (found.code, found.err, found.json["top1"]) == (0, "", 1.0)
