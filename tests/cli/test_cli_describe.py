"""`lagotto describe`, `audit`, `duplicates` and `search --labels`: the contract of their output."""

from pathlib import Path

from colour_world import MODELS, NAMES, World
from command_line import lagotto


def test_describe_json(world: World, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(NAMES))
    answer = lagotto("describe", world.hub, "plain", "--vocabulary", words, "--json")
    found = answer.json
    assert (answer.code, answer.err) == (0, "")
    assert list(found) == ["hub", "model", "vocabulary", "logits", "elapsed_s"]
    assert found["vocabulary"] == {"source": str(words), "names": 8}
    assert [each["label"] for each in found["logits"]] == ["red", "green", "blue"]
    for number, each in enumerate(found["logits"]):
        assert list(each) == ["logit", "label", "name", "proposals", "probes"]
        assert each["logit"] == number
        assert list(each["proposals"][0]) == ["name", "confidence", "fit", "through"]
        assert list(each["probes"][0]) == ["index", "source"]


def test_describe_table_and_card(world: World, tmp_path: Path) -> None:
    answer = lagotto("describe", world.hub, "plain", "--out", tmp_path / "card")
    assert answer.code == 0
    assert answer.out.splitlines()[0].split()[:2] == ["logit", "name"]
    assert len(answer.out.splitlines()) == 4
    assert (tmp_path / "card" / "labels.proposed.txt").is_file()
    assert "model card" in answer.err
    lagotto("describe", world.hub, "plain", "--out", tmp_path / "card").refused(2, "exists")
    lagotto("describe", world.hub, "nosuch").refused(2, "nosuch")
    lagotto("describe", world.hub, "plain", "--vocabulary", tmp_path / "no").refused(2, "no")
    (tmp_path / "words.json").write_text('{"0": "red", "1": "green", "2": "red"}')
    words = ("--vocabulary", tmp_path / "words.json", "--json")
    answer = lagotto("describe", world.hub, "plain", *words)
    assert answer.json["vocabulary"]["names"] == 2
    assert "note: vocabulary: 1 repeated name was left out" in answer.err


def test_audit(world: World, tmp_path: Path) -> None:
    found = lagotto("audit", world.hub, "--json").json
    assert list(found) == ["hub", "models"]
    assert sorted(each["model"] for each in found["models"]) == sorted(MODELS)
    assert {"verdict", "score", "direct", "kinship", "reason", "findings"} <= set(
        found["models"][0]
    )
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\n")
    answer = lagotto("audit", world.hub, "plain", "--labels", labels)
    assert "wrong count" in answer.out
    labels.write_text("2 blue\n1 green\n0 red\n")  # sorted by name: the number places the label
    answer = lagotto("audit", world.hub, "plain", "--labels", labels, "--json")
    labels.write_text("red\ngreen\nblue\n")
    plain = lagotto("audit", world.hub, "plain", "--labels", labels, "--json")
    assert answer.json == plain.json
    assert "note: labels: placed by their numbers" in answer.err
    lagotto("audit", world.hub, "--labels", labels).refused(2, "one model")
    assert "no labels" in lagotto("audit", world.hub, "nameless").out


def test_duplicates(world: World) -> None:
    found = lagotto("duplicates", world.hub, "--json").json
    assert list(found) == ["hub", "twins", "families", "pairs", "copies", "concepts"]
    assert "nearly the same: none" in lagotto("duplicates", world.hub).out


def test_search_by_labels(world: World, tmp_path: Path) -> None:
    found = lagotto("search", world.hub, "--labels", "red, green,blue", "--json").json
    file = tmp_path / "labels.csv"
    file.write_text("id,name\n0,red\n1,green\n2,blue\n")
    listed = lagotto("search", world.hub, "--labels", file, "--json").json
    assert (listed["query"], listed["models"]) == (found["query"], found["models"])
    lagotto("search", world.hub, "--labels", tmp_path / "no.txt").refused(2, "no such file")
    assert list(found) == ["query", "hub", "models", "elapsed_s"]
    assert found["query"] == {"kind": "labels", "value": ["red", "green", "blue"]}
    best = found["models"][0]
    # Many words tie in this world, and how sums are rounded decides which probes they weigh: so
    # which model comes first depends on the machine, and what is found of each does not.
    by_name = {model["model"]: model for model in found["models"]}
    assert [item["logit"] for item in by_name["plain"]["labels"]] == [0, 1, 2]
    covered = [model["coverage"] for model in found["models"]]
    assert covered == sorted(covered, reverse=True)
    assert list(best) == [
        *("rank", "model", "coverage", "mean_fit", "mean_lead", "weakest", "spare", "labels")
    ]
    assert list(best["labels"][0]) == ["label", "logit", "published", "fit", "through"]
    table = lagotto("search", world.hub, "--labels", "red,green,blue", "--top", "2").out
    assert f"outputs of {best['model']}:" in table
    lagotto("search", world.hub, "red", "--labels", "red,blue").refused(2, "--labels")
    lagotto("search", world.hub, "--labels", "red,red").refused(2, "each once")
