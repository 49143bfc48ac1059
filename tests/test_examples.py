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
    assert [path.stem for path in NOTEBOOKS] == ["first_classification", "first_search"]


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


@pytest.mark.usefixtures("in_folder")
def test_first_classification() -> None:
    namespace = run_notebook(EXAMPLES / "first_classification.ipynb")
    assert namespace["alone"] < 0.6
    assert namespace["captioned"] > 0.9
    assert namespace["probabilities"].shape == (4, 208)
    assert [model.model for model in namespace["together"].specialists] == ["old_laptop_copy"]
    assert len(namespace["rows"]) == len(namespace["seen"]) == 28


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_output(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    assert all(cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
