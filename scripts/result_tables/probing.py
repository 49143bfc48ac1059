"""Tables of collaborative probing: accuracy by probes a model, and what completing costs."""

from typing import Any

from result_tables.form import read_result, table

WAYS = ("fixed", "seen", "completed", "guarded", "paper_rule_completed")


def _cell(row: dict[str, Any], way: str) -> str:
    if way not in row:
        return "-"
    low, high = row[way]["top1_range"]
    return f"{row[way]['top1']:.3f} ({low:.3f} to {high:.3f})"


def probing_mini() -> str:
    """The 300 heads: Top-1, mean and range over the seeds."""
    found = read_result("quality_probing")["mini"]
    ways = [w for w in WAYS if any(w in row for part in found.values() for row in part["rows"])]
    rows = [
        [choosing, str(row["probes"]), *(_cell(row, way) for way in ways)]
        for choosing, part in found.items()
        for row in part["rows"]
    ]
    return table(["probes chosen", "a model", *(way.replace("_", " ") for way in ways)], rows)


def probing_shared() -> str:
    """The 22 published models: where completion cannot work."""
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


TABLES = (probing_mini, probing_shared, completion_cost)
