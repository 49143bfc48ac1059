"""Writes docs/cli.md from the commands' own help, and the tables of docs/results.md from JSON.

    python scripts/make_docs.py

A table stands between `<!-- table NAME -->` and `<!-- end -->`; NAME is a function below, and its
figures come from benchmarks/results/. Nothing in a table is typed by hand.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

from lagotto.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ONLY = "image-only"


def cli_reference() -> str:
    """Every command with its help, arguments and options."""
    parts = ["# Commands", "", "Made from the commands' own help by `make docs`.", ""]
    for path, command in _commands(typer.main.get_command(app), "lagotto"):
        parts += [f"## `{path}`", "", (command.help or "").strip(), ""]
        rows = []
        for parameter in command.params:
            shown = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
            name = shown or parameter.metavar or parameter.name.upper()
            text = getattr(parameter, "help", None) or ""
            rows.append(f"| `{name}` | {text} |")
        parts += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, f"{path} {name}")
    else:
        yield path, command


def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _accuracy(row: dict[str, Any]) -> list[str]:
    low, high = row["top1_ci95"]
    return [
        str(row["queries"]),
        f"{row['top1']:.3f} ({low:.3f} to {high:.3f})",
        f"{row['top5']:.3f}",
    ]


def text_search() -> str:
    """Text -> logit on the shared hub."""
    found = _read("quality_search")
    columns = ["queries of truth.json", "n", "Top-1 (95 % interval)", "Top-5"]
    return _table(
        columns, [[name, *_accuracy(row)] for name, row in found["text_to_logit"].items()]
    )


def ablation() -> str:
    """The paper's selections on the shared hub."""
    found = _read("quality_search")
    columns = ["probes compared", "n", "Top-1 (95 % interval)", "Top-5"]
    return _table(columns, [[name, *_accuracy(row)] for name, row in found["ablation"].items()])


def logit_search() -> str:
    """Logit -> logit between the ImageNet models of the shared hub."""
    found = _read("quality_search")
    columns = ["query -> answer", "n", "Top-1 (95 % interval)", "Top-5"]
    return _table(
        columns, [[name, *_accuracy(row)] for name, row in found["logit_to_logit"].items()]
    )


def demo_search() -> str:
    """Accuracy on the bundled world."""
    found = _read("quality_demo")
    rows = [
        [name, str(row["queries"]), f"{row['top1']:.3f}", f"{row['top5']:.3f}"]
        for name, row in found["accuracy"].items()
    ]
    return _table(["query", "n", "Top-1", "Top-5"], rows)


def demo_naming() -> str:
    """Zero-shot classification of the bundled held-out pictures."""
    rows = [
        [
            score["kind"],
            str(score["pictures"]),
            *(f"{score[mode]:.3f}" for mode in ("image_only", "paper", "guarded")),
        ]
        for score in _read("quality_demo")["naming"]
    ]
    columns = ["how the encoder met the concept", "pictures", "image-only", "paper", "guarded"]
    return _table(columns, rows)


def _at(rows: list[dict[str, Any]], mode: str, k: int) -> dict[str, Any]:
    """The row of a setting; image-only has no K."""
    return next(row for row in rows if row["mode"] == mode and (mode == ONLY or row["k"] == k))


def _gain(row: dict[str, Any]) -> str:
    gain = row["difference_to_image_only"]
    low, high = gain["ci95"]
    return f"{100 * gain['value']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _sets_table(name: str) -> str:
    store = _read("quality_classify")["stores"][name]
    sets = store["sets"]
    rows = []
    for mode in (ONLY, "captions-only", "paper", "paper-code", "guarded"):
        mean = _at(store["mean_of_five"], mode, 16)
        scores = [f"{_at(each['rows'], mode, 16)['metrics']['acc1']:.3f}" for each in sets.values()]
        worst = f"{100 * mean['worst_set_difference']:+.1f}"
        rows.append([mode, *scores, *(["", ""] if mode == ONLY else [_gain(mean), worst])])
    rows.append(["oracle", *(f"{each['oracle']['16']:.3f}" for each in sets.values()), "", ""])
    columns = ["K = 16", *sets, "mean of five, points (95 %)", "worst set"]
    return _table(columns, rows)


def classify_photos() -> str:
    """Five sets, store of captioned photos."""
    return _sets_table("photos")


def classify_texts() -> str:
    """Five sets, the same store with captions that have no pictures."""
    return _sets_table("photos and coco-val2017.txt")


def classify_k() -> str:
    """Mean gain and worst set over K."""
    stores = _read("quality_classify")["stores"]
    ks = (2, 4, 8, 16, 32, 64)
    rows = []
    for name, store in stores.items():
        for mode in ("paper", "guarded"):
            found = [_at(store["mean_of_five"], mode, k) for k in ks]
            cells = [
                f"{100 * row['difference_to_image_only']['value']:+.1f} / "
                f"{100 * row['worst_set_difference']:+.1f}"
                for row in found
            ]
            rows.append([name, mode, *cells])
    return _table(["store", "mean gain / worst set", *(f"K = {k}" for k in ks)], rows)


def classify_speed() -> str:
    """What captions cost."""
    found = _read("speed_classify")
    found |= found["large_store"]
    names = ["ratio_to_image_only", "speedup_vs_on_the_fly", "memory_mb", "stated_memory_mb"]
    return _table([f"`{name}`" for name in names], [[str(found[name]) for name in names]])


def probing_speed() -> str:
    """What `hub add` costs."""
    found = _read("speed_probing")
    rows = [
        ["`hub add`", f"{found['ratio_to_bare']:.2f}"],
        ["bare inference on prepared arrays (baseline)", "1.00"],
        ["every model decodes for itself (no shared cache)", f"{found['ratio_without_cache']:.2f}"],
    ]
    return _table(["wall time, relative", "ratio"], rows)


def search_speed() -> str:
    """A query over a million logits."""
    found = _read("speed_search")
    rows = [
        ["compiled kernel, probe-major int8", f"{found['ms']:.1f}"],
        ["numpy kernel, probe-major int8", f"{found['numpy_kernel_ms']:.1f}"],
        ["plain row-major gather (baseline)", f"{found['row_major_ms']:.0f}"],
    ]
    return _table(
        [f"{found['logits']:,} logits x {found['probes']:,} probes, k = {found['k']}", "ms"], rows
    )


def kills() -> str:
    """kill -9 and resume."""
    found = _read("reliability_kill_resume")
    names = ["kills", "resumed_hubs", "hubs_that_differ", "hubs_that_do_not_verify", "models"]
    return _table(
        [name.replace("_", " ") for name in names], [[str(found[name]) for name in names]]
    )


TABLES: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        text_search,
        ablation,
        logit_search,
        demo_search,
        demo_naming,
        classify_photos,
        classify_texts,
        classify_k,
        classify_speed,
        probing_speed,
        search_speed,
        kills,
    )
}


def fill_tables(text: str) -> str:
    """The text with every marked table made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


def main() -> None:
    """Writes both files."""
    (ROOT / "docs" / "cli.md").write_text(cli_reference())
    results = ROOT / "docs" / "results.md"
    results.write_text(fill_tables(results.read_text()))


if __name__ == "__main__":
    main()
