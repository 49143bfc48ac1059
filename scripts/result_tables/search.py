"""Tables of hub search: accuracy on published models and in the bundled world."""

from typing import Any

from result_tables.form import read_result, table


def _accuracy(row: dict[str, Any]) -> list[str]:
    low, high = row["top1_ci95"]
    return [
        str(row["queries"]),
        f"{row['top1']:.3f} ({low:.3f} to {high:.3f})",
        f"{row['top5']:.3f}",
    ]


def text_search() -> str:
    """Text -> logit on the shared hub."""
    found = read_result("quality_search")
    columns = ["queries of truth.json", "n", "Top-1 (95 % interval)", "Top-5"]
    return table(columns, [[name, *_accuracy(row)] for name, row in found["text_to_logit"].items()])


def ablation() -> str:
    """The paper's selections on the shared hub."""
    found = read_result("quality_search")
    columns = ["probes compared", "n", "Top-1 (95 % interval)", "Top-5"]
    return table(columns, [[name, *_accuracy(row)] for name, row in found["ablation"].items()])


def logit_search() -> str:
    """Logit -> logit between the ImageNet models of the shared hub."""
    found = read_result("quality_search")
    columns = ["query -> answer", "n", "Top-1 (95 % interval)", "Top-5"]
    return table(
        columns, [[name, *_accuracy(row)] for name, row in found["logit_to_logit"].items()]
    )


def demo_search() -> str:
    """Accuracy on the bundled world."""
    found = read_result("quality_demo")
    rows = [
        [name, str(row["queries"]), f"{row['top1']:.3f}", f"{row['top5']:.3f}"]
        for name, row in found["accuracy"].items()
    ]
    return table(["query", "n", "Top-1", "Top-5"], rows)


TABLES = (text_search, ablation, logit_search, demo_search)
