"""Tables of collaborative probing: accuracy by probes per model, and the cost of completion."""

from typing import Any

from tables.form import read_result, table

WAYS = ("fixed", "seen", "completed", "guarded", "paper_rule_completed")
CHOSEN = ("seen", "completed", "guarded")


def _cell(row: dict[str, Any], way: str) -> str:
    if way not in row:
        return "-"
    low, high = row[way]["top1_range"]
    return f"{row[way]['top1']:.3f} ({low:.3f} to {high:.3f})"


def probing_mini() -> str:
    """The 300 heads, probes spread: Top-1, mean and range over the seeds."""
    found = read_result("quality_probing")["mini"]["spread"]["rows"]
    ways = [way for way in WAYS if any(way in row for row in found)]
    rows = [[str(row["probes"]), *(_cell(row, way) for way in ways)] for row in found]
    return table(["probes a model", *(way.replace("_", " ") for way in ways)], rows)


def probing_choices() -> str:
    """The same by the strategy of choosing a model's probes, at equal cost."""
    found = read_result("quality_probing")["mini"]
    both = {
        choosing: {row["probes"]: row for row in found[choosing]["rows"]}
        for choosing in ("random", "spread")
    }
    rows = [
        [
            str(count),
            *(_cell(both[choosing][count], way) for way in CHOSEN for choosing in both),
        ]
        for count in sorted(set(both["random"]) & set(both["spread"]))
    ]
    named = [f"{way}, {choosing}" for way in CHOSEN for choosing in both]
    return table(["probes a model", *named], rows)


def probing_baselines() -> str:
    """Plain masked ALS and mean-filled SVD on random probes, and ours on the same."""
    result = read_result("quality_probing")
    ours = {row["probes"]: row for row in result["mini"]["random"]["rows"]}
    names = [name for name in result["baselines"][0] if name != "probes"]
    rows = [
        [
            str(row["probes"]),
            *(f"{row[name]:.3f}" for name in names),
            *(_mean(ours, row["probes"], way) for way in ("completed", "paper_rule_completed")),
        ]
        for row in result["baselines"]
    ]
    shown = [name.replace("als", "ALS").replace("svd", "SVD") for name in names]
    return table(["probes a model", *shown, "ours, default rule", "ours, paper rule"], rows)


def _mean(rows: dict[int, dict[str, Any]], probes: int, way: str) -> str:
    return f"{rows[probes][way]['top1']:.3f}" if probes in rows else "-"


def probing_shared() -> str:
    """The 22 published models, where completion cannot work."""
    rows = read_result("quality_probing")["shared"]["rows"]
    ways = [way for way in WAYS if way in rows[0]]
    lines = [
        [
            str(row["probes"]),
            *(_cell(row, way) for way in ways),
            f"{row['guard']['completed_models']:.2f}",
            f"{row['guard']['skill']:.3f}",
        ]
        for row in rows
    ]
    named = [way.replace("_", " ") for way in ways]
    return table(["probes a model", *named, "models completed", "predicted of held-back"], lines)


def completion_cost() -> str:
    """Completing the mini-hub, and one sweep over synthetic hubs of growing size."""
    found = read_result("speed_completion")
    mini = found["mini"]
    first = [
        f"mini-hub: settings, guard, fit, all answers ({mini['logits']:,} logits)",
        f"{mini['probes_per_model']} probes a model",
        f"{mini['seconds']:.1f} s",
        "-",
    ]
    folded = ["mini-hub: one model folded in", "-", f"{mini['fold_in_ms'] / 1000:.4f} s", "-"]
    rows = [
        [
            f"synthetic, {each['logits']:,} logits x {each['probes']:,} probes: one sweep",
            f"{each['seen_values']:,} answers",
            f"{each['seconds_a_sweep']:.1f} s",
            f"{each['peak_mb']:.0f} MB",
        ]
        for each in found["synthetic"]
    ]
    return table(["what", "size", "time", "peak memory"], [first, folded, *rows])


TABLES = (probing_mini, probing_choices, probing_baselines, probing_shared, completion_cost)
