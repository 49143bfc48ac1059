"""Tables of the default rule: its ablation, its upper bounds, and its use of names."""

from tables.form import read_result, table


def rule_ablation() -> str:
    """Top-1 of every variant in every world, on the half that was not used for development."""
    worlds = read_result("quality_rules")["worlds"]
    first = next(iter(worlds.values()))["reported"]["rows"]
    rows = [
        [name, *(f"{world['reported']['rows'][name]['top1']:.3f}" for world in worlds.values())]
        for name in first
    ]
    counts = [f"{name} ({world['reported']['queries']})" for name, world in worlds.items()]
    return table(["Top-1, reported half (texts)", *counts], rows)


def rule_gain() -> str:
    """The default against the paper's rule, paired, on both halves."""
    worlds = read_result("quality_rules")["worlds"]
    name = "both weights and direction, blended (default)"
    rows = []
    for world, halves in worlds.items():
        cells = []
        for half in ("chosen on", "reported"):
            row = halves[half]["rows"][name]
            low, high = row["to_paper_ci95"]
            cells.append(f"{row['top1']:.3f}, {row['to_paper']:+.3f} ({low:+.3f} to {high:+.3f})")
        rows.append([world, *cells])
    return table(["world", "chosen on: Top-1, to paper (95 %)", "reported"], rows)


def rule_ceilings() -> str:
    """Top-1 if the rule knows which probe is the photo of the class: an upper bound."""
    found = read_result("quality_rules")["ceilings"]
    return table(["22 models, 2,239 probes, imagenet", ""], [[k, str(v)] for k, v in found.items()])


def names_fused() -> str:
    """Keyword, behaviour and both, under right and wrong label lists, reported half."""
    rows = read_result("quality_names")["rows"]
    kept = [row for row in rows if row["half"] == "reported"]
    rules = list(dict.fromkeys(row["rule"] for row in kept))
    keys = list(dict.fromkeys((row["labels"], row["kind"], row["queries"]) for row in kept))
    found = {(row["labels"], row["kind"], row["rule"]): row for row in kept}
    lines = []
    for labels, kind, queries in keys:
        cells = [found[labels, kind, rule] for rule in rules]
        lines.append(
            [labels, f"{kind} ({queries})", *(f"{c['top1']:.3f} / {c['top5']:.3f}" for c in cells)]
        )
    return table(["label lists", "texts", *rules], lines)


TABLES = (rule_ablation, rule_gain, rule_ceilings, names_fused)
