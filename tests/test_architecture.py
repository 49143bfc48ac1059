"""The shape of the source itself: sizes, docstrings, public names, who may import what."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import lagotto

pytestmark = pytest.mark.xdist_group("architecture")  # each file is parsed once

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
    "web",
    "diagnosis",
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
    "specialists": set(LAYERS) - {"evaluation", "demo", "diagnosis", "web", "cli"},
    "evaluation": set(LAYERS) - {"demo", "diagnosis", "web", "cli"},
    "demo": set(LAYERS) - {"diagnosis", "web", "cli"},
    "web": set(LAYERS) - {"diagnosis", "cli"},
    "diagnosis": set(LAYERS) - {"cli"},
    "cli": set(LAYERS),
}
WIDER = {
    "specialists/classifier.py:__init__": 11,
    "zeroshot/classifier.py:__init__": 9,
    "hub/hub.py:create": 8,
}
"""Functions with more arguments than 7: the constructors of lagotto.Classifier and of a hub, which
users write with keywords, one for each choice that they have."""

MOST_MODULES = 14
"""In one folder, beside its __init__.py."""

ROOMS = {
    "": {*LAYERS},
    "cli": {"hub", "eval", "terminal", "web"},
    "core": {
        "arguments",
        "devices",
        "parsing",
        "remote",
        "results",
        "sources",
        "temporary",
        "text",
    },
    "core/parsing": {"name_forms"},
    "evaluation": {"classification", "confidence", "paper", "probing", "retrieval"},
    "hub": {
        *(
            "completion",
            "confidence",
            "curation",
            "descriptors",
            "index",
            "ingest",
            "kernels",
            "labels",
        ),
        *("probes", "publish", "query", "reader", "reports", "search", "store", "text"),
    },
    "hub/ingest": {"merging", "remote"},
    "hub/probes": {"datasets"},
    "diagnosis": {"planning"},
    "encoders": {"background", "known"},
    "hub/labels": {"audits", "twins"},
    "hub/store": {"copies"},
    "jobs": {"cluster", "sandbox", "tables"},
    "models": {
        *("adapters", "architectures", "checkpoints", "files", "keras", "metadata"),
        *("preprocessing", "reductions"),
    },
    "models/checkpoints": {"pickles"},
    "models/keras": {"files", "layers", "operations"},
    "models/metadata": {"beside", "registries", "unread"},
    "zeroshot": {"calibration", "captions", "prompts", "rejection"},
    "specialists": {"pictures"},
    "web": {"api", "live", "pages", "security", "uploads", "views"},
    "web/api": {"schemas"},
    "zeroshot/captions": {"server", "sources", "storage"},
}
"""The rooms of each room: a new one is entered here and in docs/explanation/architecture.md."""

TORCH = {
    *("models/adapters/transformers.py", "models/adapters/timm.py"),
    *("encoders/transformers.py", "encoders/open_clip.py", "hub/curation/diffusers.py"),
}
WEB = {path.relative_to(ROOT).as_posix() for path in MODULES if path.is_relative_to(ROOT / "web")}
"""The server is made of its framework; no other room knows it."""

FRAMEWORKS = {
    **dict.fromkeys(("fastapi", "starlette", "pydantic", "uvicorn", "jinja2"), WEB),
    "onnxruntime": {"encoders/onnx.py", "models/adapters/onnx.py", "neighbors/usearch.py"},
    "ai_edge_litert": {"models/adapters/tflite.py"},
    "numba": {
        "hub/kernels/numba_kernel.py",
        "hub/kernels/numba_read.py",
        "hub/kernels/numba_background.py",
        "hub/kernels/numba_compile.py",
    },
    "usearch": {"neighbors/usearch.py"},
    "matplotlib": {
        "evaluation/probing/matplotlib_curve.py",
        "evaluation/confidence/matplotlib_reliability.py",
        "evaluation/paper/matplotlib_plots.py",
        "hub/reports/matplotlib_overview.py",
    },
    "tokenizers": {"encoders/tokens.py"},
    "huggingface_hub": {
        "core/remote/download_cache.py",
        "core/remote/hugging_face.py",
        "core/remote/dataset_upload.py",
    },
    "obstore": {"core/remote/object_store.py"},
    "psycopg": {"zeroshot/captions/server/psycopg_session.py"},
    "pgvector": {"zeroshot/captions/server/psycopg_session.py"},
    "ray": {"jobs/cluster/ray.py"},
    "mlflow": {"core/remote/mlflow_registry.py"},
    "torch": TORCH,
    "transformers": {"models/adapters/transformers.py", "encoders/transformers.py"},
    "timm": {"models/adapters/timm.py"},
    "open_clip": {"encoders/open_clip.py"},
    "diffusers": {"hub/curation/diffusers.py"},
    "pickle": set(),
    "onnx": {"models/keras/graph.py"},
    "h5py": {"models/keras/files/hdf5.py"},
}


BEHIND = dict.fromkeys(("psycopg", "pgvector"), ("zeroshot/captions/server/",))
"""Rooms that are imported as a whole only where a package is installed."""


@cache
def tree_of(path: Path) -> ast.Module:
    """A file, parsed once."""
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name_of(path)} imports relatively"
            found.add(node.module)
    return frozenset(found)


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 50


BY_ROOM = {
    room: [path for path in MODULES if path.relative_to(ROOT).parts[0].removesuffix(".py") == room]
    for room in sorted({path.relative_to(ROOT).parts[0].removesuffix(".py") for path in MODULES})
}
"""The files of each room of the top, with all rooms in it; a file at the top is one of its own."""

each_room = pytest.mark.parametrize("room", BY_ROOM)


@each_room
def test_files_are_small_and_say_their_place(room: str) -> None:
    for path in BY_ROOM[room]:
        text, where = path.read_text(), name_of(path)
        assert len(text.splitlines()) <= 400, where
        if text:
            assert ast.get_docstring(tree_of(path)), f"{where} has no docstring"
        assert "from __future__ import annotations" not in text, where
        assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), where


Function = ast.FunctionDef | ast.AsyncFunctionDef


@each_room
def test_functions_are_small_and_public_ones_documented(room: str) -> None:
    for path in BY_ROOM[room]:
        functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, Function)]
        nested = {
            inner
            for function in functions
            for inner in ast.walk(function)
            if inner is not function and isinstance(inner, Function)
        }
        for node in functions:
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            given = [each for each in arguments if each.arg not in ("self", "cls")]
            where = f"{name_of(path)}:{node.name}"
            if "cli" not in path.relative_to(ROOT).parts:
                assert len(given) <= WIDER.get(where, 7), where
            statements = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
            assert statements <= 45, where  # nested blocks counted, docstring included
            if not node.name.startswith("_") and node.name != "main":
                assert ast.get_docstring(node) or node in nested, where


@each_room
def test_imports_point_down(room: str) -> None:
    if room not in ALLOWED:
        return
    for path in BY_ROOM[room]:
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "lagotto" and len(parts) > 1:
                assert parts[1] in ALLOWED[room], f"{name_of(path)} imports {module}"


@each_room
def test_frameworks_stay_in_the_files_named_after_them(room: str) -> None:
    for path in BY_ROOM[room]:
        for module in imports(path):
            home = FRAMEWORKS.get(module.split(".")[0])
            assert home is None or name_of(path) in home, f"{name_of(path)} imports {module}"


def test_every_room_is_known() -> None:
    rooms: dict[str, set[str]] = {}
    for path in ROOT.rglob("__init__.py"):
        room = path.parent
        if room != ROOT:
            rooms.setdefault(room.parent.relative_to(ROOT).as_posix(), set()).add(room.name)
    assert {name.removeprefix("."): inner for name, inner in rooms.items()} == ROOMS


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of
)
def test_a_room_says_what_comes_in_and_what_goes_out(path: Path) -> None:
    said = ast.get_docstring(tree_of(path)) or ""
    if path.parent == ROOT:
        return
    assert re.search(r"\bcomes? in\b", said), said
    assert re.search(r"\bgo(es)? out\b", said), said
    assert said.endswith(".")
    assert "\n" not in said, "one sentence"
    inside = [node for node in tree_of(path).body if not isinstance(node, ast.Expr)]
    assert not inside, "a room's __init__.py holds its sentence alone"


def test_no_room_is_crowded() -> None:
    counts: dict[str, int] = {}
    for path in MODULES:
        folder = path.parent.relative_to(ROOT).as_posix()
        counts[folder] = counts.get(folder, 0) + (path.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def module_of(path: Path) -> str:
    """The dotted name of a module, from lagotto on."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which of the modules each of them imports, at its top or inside a function."""
    graph: dict[str, set[str]] = {}
    for module, text in sources.items():
        reached = graph.setdefault(module, set())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                reached |= {alias.name for alias in node.names} & set(sources)
            elif isinstance(node, ast.ImportFrom) and node.module in sources:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                inner = names & set(sources)
                reached |= inner if len(inner) == len(names) else {*inner, str(node.module)}
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other, and modules that import themselves."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph[module]
        return seen

    reached = {module: reach(module) for module in graph}
    groups = {
        tuple(sorted({module, *(m for m in others if module in reached[m])}))
        for module, others in reached.items()
        if module in others
    }
    return sorted(list(group) for group in groups)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = import_graph({module_of(path): path.read_text() for path in MODULES})
    assert sum(map(len, graph.values())) > 500
    assert circles(graph) == []


def test_a_circle_is_found_wherever_the_import_is() -> None:
    made = {
        "lagotto.a": "from lagotto.b import name",
        "lagotto.b": "def late():\n    import lagotto.c",
        "lagotto.c": "from lagotto import a",
        "lagotto": "",
        "lagotto.d": "from lagotto.a import name",
    }
    assert circles(import_graph(made)) == [["lagotto.a", "lagotto.b", "lagotto.c"]]


def public_names(text: str) -> set[str]:
    """What a module defines at its top level without an underscore."""
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_")}


def test_no_public_name_is_defined_twice() -> None:
    owners: dict[str, list[str]] = {}
    for path in MODULES:
        for name in public_names(path.read_text()):
            owners.setdefault(name, []).append(name_of(path))
    assert {name: files for name, files in owners.items() if len(files) > 1} == {}


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


@pytest.mark.thorough
def test_every_module_can_be_imported() -> None:
    for path in MODULES:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        try:
            import_module(".".join(parts).removesuffix(".__init__"))
        except ImportError as error:  # an extra that is not installed, as its adapter would say
            package = str(error.name).partition(".")[0]
            needed = FRAMEWORKS.get(package)
            torchvision = "torchvision" in str(error)
            behind = name_of(path).startswith(BEHIND.get(package, ("none",)))
            if not torchvision and not behind and (needed is None or name_of(path) not in needed):
                raise


def test_the_version_is_that_of_the_project() -> None:
    project = ROOT.parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("not run from a checkout")
    assert f'version = "{lagotto.__version__}"' in project.read_text()
