"""Tables of names, audits and duplicates."""

from typing import Any

from tables.form import read_result, table


def _by_probes() -> list[tuple[str, dict[str, Any]]]:
    found = read_result("quality_naming")["by_probes"]
    return [(f"{int(probes):,}", found[probes]) for probes in sorted(found, key=int)]


def naming() -> str:
    """Names of ImageNet logits by rule."""
    rows = []
    for probes, found in _by_probes():
        for model, rules in found["describe"].items():
            for rule, row in rules.items():
                low, high = row["top1_ci95"]
                top1 = f"{row['top1']:.3f} ({low:.3f} to {high:.3f})"
                rows.append([probes, model, rule, str(row["logits"]), top1, f"{row['top5']:.3f}"])
    columns = ["probes", "model", "rule", "logits", "Top-1 (95 % interval)", "Top-5"]
    return table(columns, rows)


def naming_confidence() -> str:
    """The precision of names by confidence."""
    rows = []
    for probes, found in _by_probes():
        for model, row in found["confidence"].items():
            for each in row["bins"]:
                upto = each["from"] + 0.2
                rows.append(
                    [
                        probes,
                        model,
                        f"{each['from']:.1f} to {upto:.1f}",
                        str(each["logits"]),
                        f"{each['confidence']:.2f}",
                        f"{each['precision']:.2f}",
                    ]
                )
    return table(["probes", "model", "confidence", "logits", "mean", "right"], rows)


def _audits() -> list[tuple[str, dict[str, Any]]]:
    heads = ("heads of inet-mini-hub, 2,239 probes", read_result("quality_naming")["heads"])
    hubs = [(f"shared hub, {probes} probes", found["audit"]) for probes, found in _by_probes()]
    return [*hubs, heads]


def audit() -> str:
    """How well audits distinguish wrong lists from published ones."""
    rows = [
        [
            where,
            str(row["models"]),
            str(row["wrong_lists"]),
            f"{row['auroc']:.3f}",
            f"{row['auroc_shifted']:.3f}",
            f"{row['auroc_permuted']:.3f}",
        ]
        for where, row in _audits()
    ]
    return table(["models of", "models", "wrong lists", "AUROC", "shifted", "permuted"], rows)


def audit_verdicts() -> str:
    """Verdicts on the lists of these models, right and wrong."""
    rows = []
    for where, row in _audits():
        for kind, counts in row["verdicts"].items():
            told = ", ".join(f"{verdict}: {count}" for verdict, count in counts.items())
            rows.append([where, kind, told])
    return table(["models of", "lists", "verdicts"], rows)


def audit_published() -> str:
    """Verdicts on the published lists."""
    rows = []
    columns = ["model", "outputs"]
    parts = _by_probes()
    for probes, _ in parts:
        columns += [f"verdict, {probes} probes", "direct", "kinship"]
    for number, first in enumerate(parts[0][1]["audit"]["published"]):
        row = [first["model"], str(first["outputs"])]
        for _, found in parts:
            each = found["audit"]["published"][number]
            row += [each["verdict"], f"{each['direct']:+.1f}", f"{each['kinship']:+.1f}"]
        rows.append(row)
    return table(columns, rows)


def duplicates() -> str:
    """The pairs of duplicates."""
    rows = []
    for probes, found in _by_probes():
        for pair in found["duplicates"]["pairs"]:
            kind = "twins" if pair["correlation"] >= 0.9 else "family"
            rows.append([probes, pair["first"], pair["second"], f"{pair['correlation']:.3f}", kind])
    return table(["probes", "model", "other", "matched correlation", "shown as"], rows)


def describe_speed() -> str:
    """Naming a model of a thousand outputs from ten thousand names."""
    found = read_result("speed_describe")
    rows = [
        ["first time: the names are embedded and kept", f"{found['first_s']:.1f}"],
        [
            "the text tower's matrix products alone, at numpy's rate",
            f"{found['least_first_s']:.1f}",
        ],
        ["with the same names again", f"{found['again_s']:.1f}"],
        ["the paper's rule in reverse, names embedded", f"{found['paper_s']:.1f}"],
    ]
    return table([f"{found['outputs']:,} outputs, {found['names']:,} names", "s"], rows)


TABLES = (
    describe_speed,
    naming,
    naming_confidence,
    audit,
    audit_verdicts,
    audit_published,
    duplicates,
)
