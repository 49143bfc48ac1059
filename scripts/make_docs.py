"""Writes the generated pages of docs/ and the tables of benchmarks/notes/; builds the site.

    python scripts/make_docs.py            # the generated pages and tables
    python scripts/make_docs.py --site     # the same, then the site, in site/

Generated are docs/reference/cli.md (from the commands' own help), docs/reference/python.md (from
`lagotto.__all__`), docs/reference/{keras-layers,architectures,model-files}.md (from the tables that
are shipped) and every table between `<!-- table NAME -->` and `<!-- end -->`: NAME is a function in
benchmarks/tables/, its figures come from benchmarks/results/, none is typed by hand.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer.main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import lagotto
from lagotto.cli.main import app
from lagotto.models.architectures.signature_table import read_table
from lagotto.models.architectures.skeletons import skeleton_keys
from lagotto.models.metadata.model_files import format_of_model
from lagotto.models.metadata.unread.formats import OF_ANOTHER, UNREAD_FORMATS
from lagotto.models.metadata.unread.recognition import UNREAD_ENDINGS
from lagotto.models.registry import MODEL_ADAPTERS, SAVED_BY, TRANSLATORS
from tables import topics

ROOT = Path(__file__).resolve().parents[1]
MISSING = "mkdocs is not installed; run: pip install --group docs (pip 25.1 or later), or make docs"
LIBRARIES = {
    "torchvision": "torchvision",
    "cifar": "Copies for CIFAR and MNIST, by whose checkpoints have these names",
    "yolo": "YOLO classifiers",
    "timm": "timm",
}
GROUPS = (
    ("Hubs, stores and classifiers", "What you make or open, and then call."),
    ("Results, queries and options", "Frozen values: what goes into a call and what comes out."),
    ("Functions", "Loaders."),
    ("Errors", "All of them are `LagottoError`s; see [errors](errors.md)."),
)


def cli_reference() -> str:
    """Every command with its help, arguments and options."""
    parts = ["# Commands", "", "Made from the commands' own help by `make docs`.", ""]
    for path, command in _commands(typer.main.get_command(app), "lagotto"):
        parts += [f"## `{path}`", "", (command.help or "").strip(), ""]
        rows = []
        for parameter in command.params:
            option = parameter.param_type_name == "option"
            argument = parameter.metavar or parameter.name.upper()
            name = ", ".join(parameter.opts) if option else argument
            text = getattr(parameter, "help", None) or ""
            rows.append(f"| `{name}` | {text} |")
        parts += ["| argument or option | |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, f"{path} {name}")
    else:
        yield path, command


def python_reference() -> str:
    """A heading and a mkdocstrings block for each public name, grouped by what it is."""
    parts = [
        "# Python",
        "",
        "Everything that `import lagotto` offers, from its own docstrings. `import lagotto` loads",
        "no framework: a name is loaded when it is first used.",
        "",
    ]
    for group, (title, text) in enumerate(GROUPS):
        names = [name for name in sorted(lagotto.__all__) if _group_of(name) == group]
        if names:
            parts += [f"## {title}", "", text, ""]
            for name in names:
                parts += [f"::: lagotto.{name}", ""]
    return "\n".join(parts)


def architectures_reference() -> str:
    """The architectures that are recognized, by library; those with a skeleton in bold."""
    shipped = skeleton_keys()
    parts = [
        "# Architectures",
        "",
        "Networks whose checkpoints are recognized: see [checkpoints](../how-to/checkpoints.md).",
        f"{len(shipped)} of them (in bold) are run without torch, from skeletons; the others of",
        "timm are built by timm (extra `timm`), the others of torchvision are named only.",
        "",
    ]
    for library, title in LIBRARIES.items():
        known = [item for item in read_table().architectures if item.library == library]
        names = sorted(f"**{item.name}**" if item.key in shipped else item.name for item in known)
        names.sort(key=lambda name: name.strip("*"))
        parts += [f"## {title}", "", f"{len(known)} networks.", "", ", ".join(names), ""]
    return "\n".join(parts)


def model_files_page() -> str:
    """What is read of which file, and what is not, from the tables by which the scan decides."""
    parts = [
        "# Model files",
        "",
        "Made from Lagotto's own tables by `make docs`. `lagotto inspect FILE` says it of any",
        "file, and `lagotto hub add` ends with the files that it did not read.",
        "",
        "## What is read",
        "",
        "| file | read as | extra |",
        "|---|---|---|",
    ]
    readers = {**MODEL_ADAPTERS, **TRANSLATORS}
    for ending in sorted(readers):
        extra = f"`{readers[ending].extra}`" if readers[ending].extra else "-"
        read_as = format_of_model(Path(f"model{ending}"))
        parts.append(f"| `{ending}` | {read_as} | {extra} |")
    for library, adapter in SAVED_BY.items():
        files = "`model.safetensors` with `config.json`"
        parts.append(f"| {files} of {library} | {library} | `{adapter.extra}` |")
    parts += [
        "",
        "Folders of MLflow and Triton, and models of an MLflow registry:",
        "[registries](../how-to/registries.md).",
        "",
        "## What is not read, and the way out",
        "",
        "`FILE` stands for the name of the file, `MODEL` for it without its ending.",
        "",
        "| form | files | why not | recipe |",
        "|---|---|---|---|",
    ]
    for key, form in UNREAD_FORMATS.items():
        if form.reason == OF_ANOTHER:
            continue
        endings = [f"`{ending}`" for ending, named in UNREAD_ENDINGS.items() if named == key]
        recipe = form.recipe.replace("{file}", "FILE").replace("{stem}", "MODEL")
        listed = ", ".join(endings) or "told by content"
        parts.append(f"| {form.name} | {listed} | {form.reason} | `{recipe}` |")
    return "\n".join([*parts, ""])


def _group_of(name: str) -> int | None:
    """The position in GROUPS of a public name; None for what is no class and no function."""
    value = getattr(lagotto, name)
    if isinstance(value, type) and issubclass(value, BaseException):
        return 3
    if isinstance(value, type):
        return 1 if is_dataclass(value) else 0
    return 2 if callable(value) else None


def keras_reference() -> str:
    """Every layer of Keras that is translated, with the settings that are."""
    from lagotto.models.keras.table import ACTIVATION_NAMES, LAYERS, REFUSED

    layers = [name for name in LAYERS if not name.startswith(("ops.", "tf."))]
    operations = sorted(name for name in LAYERS if name.startswith(("ops.", "tf.")))
    parts = [
        "# Layers of Keras",
        "",
        "What is read of models of Keras and TensorFlow.js ([how](../how-to/keras.md)). A layer,",
        "a setting or an argument that is not here is refused by its name, unless it says nothing",
        "(null, false, an empty list). Made from the table in the code by `make docs`.",
        "",
        "| layer | settings | |",
        "|---|---|---|",
    ]
    for name in layers:
        kind = LAYERS[name]
        settings = ", ".join(f"`{key}`" for key in sorted(kind.keys))
        parts.append(f"| `{name}` | {settings} | {kind.note} |")
    parts += ["", "## Activations", "", ", ".join(f"`{name}`" for name in ACTIVATION_NAMES) + "."]
    parts += ["", "## Operations", "", "Operations of `keras.ops` begin with `ops.`, those of"]
    parts += ["TensorFlow with `tf.`; constants among their arguments are read too.", ""]
    parts += ["| operation | arguments |", "|---|---|"]
    for name in operations:
        arguments = ", ".join(f"`{item.partition('|')[0]}`" for item in LAYERS[name].arguments)
        parts.append(f"| `{name}` | {arguments} |")
    parts += ["", "## Refused by name", "", "| layer | |", "|---|---|"]
    parts += [f"| `{name}` | {why} |" for name, why in REFUSED.items()]
    return "\n".join([*parts, ""])


TABLES: dict[str, Callable[[], str]] = {
    make.__name__: make for topic in topics() for make in topic.TABLES
}


def fill_tables(text: str) -> str:
    """The text with every marked table made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


def pages_with_tables() -> list[Path]:
    """The pages whose tables are generated."""
    docs = [ROOT / "docs" / "results.md", ROOT / "docs" / "explanation" / "security.md"]
    return [*docs, *sorted((ROOT / "benchmarks" / "notes").glob("*.md"))]


def build_site() -> int:
    """Builds site/ with mkdocs, warnings being errors; its exit code."""
    if find_spec("mkdocs") is None:
        print(MISSING, file=sys.stderr)
        return 1
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", "mkdocs.yml"]
    code = subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode
    if code == 0:
        print("open site/index.html")
    return code


def main() -> int:
    """Writes all pages; with --site builds the site too."""
    (ROOT / "docs" / "reference" / "cli.md").write_text(cli_reference())
    (ROOT / "docs" / "reference" / "python.md").write_text(python_reference())
    (ROOT / "docs" / "reference" / "keras-layers.md").write_text(keras_reference())
    (ROOT / "docs" / "reference" / "architectures.md").write_text(architectures_reference())
    (ROOT / "docs" / "reference" / "model-files.md").write_text(model_files_page())
    for page in pages_with_tables():
        page.write_text(fill_tables(page.read_text()))
    return build_site() if "--site" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
