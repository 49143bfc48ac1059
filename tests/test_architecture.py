"""The shape of the source itself: sizes, docstrings, public names, who may import what."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import lagotto

ROOT = Path(lagotto.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))
LAYERS = (
    "core",
    "encoders",
    "models",
    "neighbors",
    "jobs",
    "hub",
    "zeroshot",
    "specialists",
    "evaluation",
    "demo",
    "cli",
)
ALLOWED = {
    "core": {"core"},
    "encoders": {"core", "encoders"},
    "models": {"core", "models"},
    "neighbors": {"core", "neighbors"},
    "jobs": {"core", "jobs"},
    "hub": {"core", "encoders", "models", "jobs", "hub"},
    "zeroshot": {"core", "encoders", "models", "neighbors", "jobs", "zeroshot"},
    "specialists": set(LAYERS) - {"evaluation", "demo", "cli"},
    "evaluation": set(LAYERS) - {"demo", "cli"},
    "demo": set(LAYERS) - {"cli"},
    "cli": set(LAYERS),
}
WIDER = {
    "specialists/classifier.py:__init__": 9,
    "hub/hub.py:nearest": 8,
    "hub/hub.py:search": 8,
}
"""Functions with more arguments than 7: the constructor of lagotto.Classifier and the searches of
lagotto.Hub, which users write with keywords, one for each choice that they have."""

TORCH = {
    *("models/adapters/transformers.py", "models/adapters/timm.py"),
    *("encoders/transformers.py", "encoders/open_clip.py"),
}
FRAMEWORKS = {
    "onnxruntime": {"encoders/onnx.py", "models/adapters/onnx.py", "neighbors/usearch.py"},
    "ai_edge_litert": {"models/adapters/tflite.py"},
    "numba": {
        "hub/kernels/numba_kernel.py",
        "hub/kernels/numba_background.py",
        "hub/kernels/numba_compile.py",
    },
    "usearch": {"neighbors/usearch.py"},
    "matplotlib": {
        "evaluation/probing/matplotlib_curve.py",
        "evaluation/paper/matplotlib_plots.py",
    },
    "tokenizers": {"encoders/tokens.py"},
    "huggingface_hub": {"core/remote/hugging_face.py"},
    "torch": TORCH,
    "transformers": {"models/adapters/transformers.py", "encoders/transformers.py"},
    "timm": {"models/adapters/timm.py"},
    "open_clip": {"encoders/open_clip.py"},
    "pickle": set(),
    "onnx": set(),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name_of(path)} imports relatively"
            found.add(node.module)
    return found


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 50


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_is_small_and_says_its_place(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    if text:
        assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert "from __future__ import annotations" not in text
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_small_and_public_ones_documented(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        given = [each for each in arguments if each.arg not in ("self", "cls")]
        where = f"{name_of(path)}:{node.name}"
        if "cli" not in path.relative_to(ROOT).parts:
            assert len(given) <= WIDER.get(where, 7), where
        statements = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
        assert statements <= 45, where  # nested blocks counted, docstring included
        if not node.name.startswith("_") and node.name != "main":
            assert ast.get_docstring(node) or _is_nested(path, node), where


def _is_nested(path: Path, wanted: ast.AST) -> bool:
    """Whether a function is inside another, where its name says enough."""
    tree = ast.parse(path.read_text())
    outer = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = [
        inner
        for function in outer
        for inner in ast.walk(function)
        if inner is not function and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return any(each.lineno == wanted.lineno for each in inside)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    if layer not in ALLOWED:
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "lagotto" and len(parts) > 1:
            assert parts[1] in ALLOWED[layer], f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_frameworks_stay_in_the_files_named_after_them(path: Path) -> None:
    for module in imports(path):
        home = FRAMEWORKS.get(module.split(".")[0])
        assert home is None or name_of(path) in home, f"{name_of(path)} imports {module}"


def test_every_layer_is_known() -> None:
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= set(LAYERS)


def test_every_public_name_is_there() -> None:
    assert len(lagotto.__all__) == len(set(lagotto.__all__))
    for name in lagotto.__all__:
        assert getattr(lagotto, name) is not None
        assert name in dir(lagotto)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lagotto.nonsense


def test_public_names_are_documented() -> None:
    for name in set(lagotto.__all__) - {"__version__"}:
        assert getattr(lagotto, name).__doc__, name


def test_every_module_can_be_imported() -> None:
    for path in MODULES:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        try:
            import_module(".".join(parts).removesuffix(".__init__"))
        except ImportError as error:  # an extra that is not installed, as its adapter would say
            needed = FRAMEWORKS.get(str(error.name).partition(".")[0])
            torchvision = "torchvision" in str(error)
            if not torchvision and (needed is None or name_of(path) not in needed):
                raise


def test_the_version_is_that_of_the_project() -> None:
    project = ROOT.parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("not run from a checkout")
    assert f'version = "{lagotto.__version__}"' in project.read_text()
