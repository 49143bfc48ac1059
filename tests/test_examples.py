"""The notebooks in examples/ run, cell by cell, and say what they are meant to show."""

import ast
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def run_notebook(path: Path) -> dict[str, Any]:
    """Executes the code cells in one namespace, as a kernel does; a last expression is shown."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(path.read_text())["cells"]):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        where = f"{path.name}, cell {number}"
        exec(compile(tree, where, "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), where, "eval"), namespace)
            shown = getattr(value, "_repr_html_", lambda value=value: repr(value))()
            assert value is None or shown, f"{where} shows nothing"
    return namespace


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a notebook leaves behind goes into the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_every_notebook_is_run_here() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "audit_a_registry",
        "find_a_specialist",
        "first_classification",
        "first_search",
        "read_the_evidence",
    ]


@pytest.mark.thorough
@pytest.mark.usefixtures("in_folder")
def test_first_search() -> None:
    namespace = run_notebook(EXAMPLES / "first_search.ipynb")
    first, second = namespace["found"][:2]
    assert {(first.model, first.logit), (second.model, second.logit)} == {
        ("q_v2", 5),
        ("export_fixed", 3),
    }
    assert len(namespace["by_picture"]) == 3
    assert [output.name for output in namespace["described"].logits][1] == "pizza"


@pytest.mark.thorough
@pytest.mark.usefixtures("in_folder")
def test_first_classification() -> None:
    namespace = run_notebook(EXAMPLES / "first_classification.ipynb")
    assert namespace["alone"] < 0.6
    assert namespace["captioned"] > 0.9
    assert namespace["probabilities"].shape == (4, 208)
    assert [model.model for model in namespace["together"].specialists] == ["old_laptop_copy"]
    assert len(namespace["rows"]) == len(namespace["seen"]) == 28


@pytest.mark.thorough
@pytest.mark.usefixtures("in_folder")
def test_read_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    namespace = run_notebook(EXAMPLES / "read_the_evidence.ipynb")
    found, absent, unseen = (namespace[name] for name in ("found", "absent", "unseen"))
    assert [(hit.model, hit.logit) for hit in found[:2]] == [("q_v2", 5), ("export_fixed", 3)]
    assert found.presence > 0.9 > 0.5 > absent.presence
    assert found[0].confidence > 0.9 > 0.5 > absent[0].confidence
    assert found.coverage > 0.1 > unseen.coverage
    assert any("no probe" in note for note in unseen.notes)
    assert any("nothing in this hub" in note for note in absent.notes)
    assert len(namespace["good"].axes) == 16
    assert 0 < namespace["overview"].shown_share < 1
    pyplot.close("all")


@pytest.mark.thorough
@pytest.mark.usefixtures("in_folder")
def test_find_a_specialist() -> None:
    namespace = run_notebook(EXAMPLES / "find_a_specialist.ipynb")
    assert namespace["covers"][0].model == "baseline_old"
    assert [model.model for model in namespace["together"].specialists] == ["baseline_old"]
    assert namespace["by_both"] > namespace["by_encoder"]
    assert namespace["changed"]


@pytest.mark.thorough
@pytest.mark.usefixtures("in_folder")
def test_audit_a_registry() -> None:
    namespace = run_notebook(EXAMPLES / "audit_a_registry.ipynb")
    verdicts = {name: audit.verdict for name, audit in namespace["audits"].items()}
    assert verdicts == {
        "export_fixed": "fits",
        "mobile_try5": "fits",
        "old_laptop_copy": "another order fits",
        "production_v2": "no labels",
        "seed_19": "fits",
        "unknown_origin": "fits",
    }
    assert namespace["wrong"] == ["old_laptop_copy"]
    assert namespace["shifted"].proposed == tuple(namespace["labels"])
    assert namespace["duplicates"].duplicate_groups == (("mobile_try5", "production_v2"),)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_output(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    assert all(cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
