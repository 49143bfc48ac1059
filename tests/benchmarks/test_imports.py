"""What a benchmark takes from another one is there: they run by hand, and seldom."""

import ast
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(path for path in BENCHMARKS.rglob("*.py") if path.name != "__init__.py")


def names_of(file: Path) -> set[str]:
    """The names that the top level of a file defines; not those that it imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def source_of(module: str, script: Path) -> Path | None:
    """The benchmark that an import names, beside the script or from their folder on."""
    parts = module.split(".")
    for home in (script.parent, BENCHMARKS):
        file = home.joinpath(*parts).with_suffix(".py")
        if file.is_file():
            return file
    return None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(BENCHMARKS)))
def test_what_is_imported_from_a_benchmark_is_defined_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            source = source_of(node.module, script)
            if source is not None and source != script:
                wanted = {each.name for each in node.names}
                assert wanted <= names_of(source), f"{script.name} takes them from {source.name}"
