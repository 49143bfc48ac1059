"""Tables of hub search: accuracy on published models and in the bundled world."""

from typing import Any

from tables.form import read_result, table

COLUMNS = ("default", "hybrid", "paper", "full-query", "model-level", "keyword")
"""Rules in the order of the tables; a rule without results has no column."""


def _world_rows(
    kinds: tuple[str, ...], *, rules: tuple[str, ...] = COLUMNS, starts: bool = False
) -> str:
    """Top-1 (95 %) / Top-5 in each world: a row for each kind of query, a column for each rule."""
    worlds = read_result("quality_search")["worlds"]
    present = {row["rule"] for world in worlds.values() for row in world["rows"]}
    rules_shown = [rule for rule in rules if rule in present]
    rows = []
    for name, world in worlds.items():
        for kind in dict.fromkeys(row["kind"] for row in world["rows"]):
            if any(kind.startswith(each) if starts else kind == each for each in kinds):
                cells = {row["rule"]: row for row in world["rows"] if row["kind"] == kind}
                n = str(next(iter(cells.values()))["queries"])
                rows.append([name, kind, n, *(_cell(cells.get(rule)) for rule in rules_shown)])
    return table(["probes", "queries", "n", *rules_shown], rows)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    low, high = row["ci95"]["top1"]
    return f"{row['top1']:.3f} ({low:.3f} to {high:.3f}) / {row['top5']:.3f}"


def text_search() -> str:
    """Text -> logit in every world."""
    whole = ("imagenet", "imagenet, first names", "common", "fine", "label")
    halves = tuple(f"{kind}, reported half" for kind in ("imagenet", "common", "label"))
    return _world_rows((*whole, *halves))


def logit_search() -> str:
    """Logit -> logit in every world."""
    rules = tuple(rule for rule in COLUMNS if rule != "keyword")
    return _world_rows(("logit",), rules=rules, starts=True)


def _paper_table(name: str, world: str = "2,239 probes") -> str:
    """A table of `lagotto eval paper`."""
    tables = read_result("quality_search")["tables"][world]["tables"]
    (found,) = (each for each in tables if each["name"] == name)
    kinds = [f"{cell['kind']} ({cell['queries']})" for cell in found["rows"][0]["cells"]]
    sizes = [size for size in ("probes", "k") if size != name]
    rows = [
        [
            row["name"],
            *(str(row[size]) for size in sizes),
            *(_cell(cell) for cell in row["cells"]),
        ]
        for row in found["rows"]
    ]
    return table([name, *sizes, *kinds], rows)


def ablation() -> str:
    """The paper's selections, captioned photos as probes."""
    return _paper_table("selections", "1,239 probes")


def probe_sources() -> str:
    """Each collection of probes alone."""
    return _paper_table("sources")


def compared_probes() -> str:
    """The paper's rule over k."""
    return _paper_table("k")


def numbers_of_probes() -> str:
    """The paper's rule over the number of probes."""
    return _paper_table("probes")


def demo_search() -> str:
    """Accuracy on the bundled world."""
    found = read_result("quality_demo")
    rows = [
        [name, str(row["queries"]), f"{row['top1']:.3f}", f"{row['top5']:.3f}"]
        for name, row in found["accuracy"].items()
    ]
    return table(["query", "n", "Top-1", "Top-5"], rows)


def demo_confidence() -> str:
    """Confidence of the ten best hits on the bundled world, a row a decile."""
    found = read_result("quality_demo")["confidence"]
    ways = list(found)
    rows = []
    for decile in range(10):
        cells = []
        for way in ways:
            here = [row for row in found[way]["bins"] if round(row[0] * 10) == decile]
            cells.append(f"{here[0][3]:.2f} / {here[0][4]:.2f} of {here[0][2]}" if here else "-")
        rows.append([f"{decile / 10:.1f} to {(decile + 1) / 10:.1f}", *cells])
    for name, digits in (("calibration_error", 3), ("auroc", 3)):
        rows.append([name.replace("_", " "), *(f"{found[way][name]:.{digits}f}" for way in ways)])
    return table(["confidence", *(f"{way}: mean / right" for way in ways)], rows)


TABLES = (
    text_search,
    ablation,
    probe_sources,
    compared_probes,
    numbers_of_probes,
    logit_search,
    demo_search,
    demo_confidence,
)
