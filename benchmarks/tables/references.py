"""Tables of reference models: what a labelled model teaches of others."""

from typing import Any

from tables.form import read_result, table

COLUMNS = ["", "texts", "asked", "through labels", "by behaviour alone"]


def _result() -> dict[str, Any]:
    return read_result("quality_references")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _pairs(cases: dict[str, Any]) -> str:
    rows = [
        [case, kind, str(row["taught"]["texts"]), *(_share(row[way]["odd"]) for way in WAYS)]
        for case, kinds in cases.items()
        for kind, row in kinds.items()
    ]
    return table(COLUMNS, rows)


WAYS = ("taught", "behaviour")


def references_one() -> str:
    """One ImageNet model teaches, and no other list is read."""
    return _pairs(_result()["one reference"])


def references_wrong() -> str:
    """Wrong lists."""
    return _pairs(_result().get("wrong lists", {}))


def references_heads() -> str:
    """Heads of the mini-hub of which a tenth is labelled."""
    rows = [
        [
            *(case, str(row["heads_labelled"])),
            *(_share(row[way]) for way in WAYS),
            f"{row['named']} of {row['texts']}",
            *(_share(row[f"{way}, named"]) for way in WAYS),
        ]
        for case, row in _result()["mini-hub"].items()
    ]
    named = ["a labelled head has", "of these, through labels", "by behaviour"]
    return table(["", "heads labelled", "through labels", "by behaviour alone", *named], rows)


def references_sizes() -> str:
    """Several references, and one of which few labels are known."""
    rows = []
    for stage, unit in (
        ("number of references", "references"),
        ("labels of a reference", "labels"),
    ):
        for case, kinds in _result().get(stage, {}).items():
            rows.append([f"{case} {unit}", *(_share(row["odd"]) for row in kinds.values())])
    return table(["", "`imagenet`", "`common`"], rows)


def references_describe() -> str:
    """Names for the outputs of an ImageNet model whose list is hidden."""
    rows = [
        [case, str(row["outputs"]), *(_share(row[way]) for way in WAYS)]
        for case, row in _result().get("describe", {}).items()
    ]
    return table(["", "outputs", "the other's labels", "1,000 names by behaviour"], rows)


def references_others() -> str:
    """Names for the outputs of an ImageNet model by references of other label sets."""
    rows = [
        [
            *(case, str(row["outputs"]), *(_share(row[way]) for way in WAYS)),
            str(row["of which references name"]),
            *(_share(row[f"{way}, named"]) for way in WAYS),
        ]
        for case, row in _result().get("describe by other label sets", {}).items()
    ]
    ways = ["with references", "without"]
    return table(["", "outputs", *ways, "a reference names", *ways], rows)


def references_twins() -> str:
    """How likely pairs of outputs are said to be of one concept, on the odd half of the names."""
    rows = [
        [world, weights, f"{row['pairs']:,}", *(f"{row[key]:.3f}" for key in TWIN_FIGURES)]
        for world, both in read_result("quality_twins")["odd"].items()
        for weights, row in both.items()
    ]
    titles = ["AUROC", "calibration error", "from 0.05", "right from 0.5", "found from 0.5"]
    return table(["", "weights", "pairs", *titles], rows)


TWIN_FIGURES = (
    *("auroc", "calibration_error", "error_from_0.05"),
    *("precision_from_0.5", "found_from_0.5"),
)


def references_time() -> str:
    """A query of a million logits through a reference, and without; the ways took turns."""
    rows = [
        [way, f"{row['ms']:.1f}"]
        for way, row in read_result("speed_references")["rows"].items()
        if way in TIMED
    ]
    return table(["", "ms"], rows)


TIMED = ("bare compiled scan", "default rule", "default rule, through a reference")


def references_half() -> str:
    """Half of the models labelled at random."""
    row = _result().get("half labelled")
    if row is None:
        return table(["draws", *COLUMNS[3:]], [])
    shares = [f"{row[way][0]:.3f} ({row[way][1]:.3f})" for way in WAYS]
    return table(["draws", *COLUMNS[3:]], [[str(row["draws"]), *shares]])


def references_confidence() -> str:
    """Right first hits with a low confidence, and the calibration error, of one reference."""
    rows = [
        [case, kind, *(str(row[way][key]) for key in KEYS for way in WAYS)]
        for case, kinds in _result()["one reference"].items()
        for kind, row in kinds.items()
    ]
    titles = ["right, below 0.3", "the same, by behaviour", "calibration error", "by behaviour"]
    return table(["", "texts", *titles], rows)


KEYS = ("right_below_0.3", "calibration_error")


def references_belief() -> str:
    """How far confidence and presence hold where a reference may have the words, before and now."""
    rows = []
    for world, kinds in read_result("quality_taught")["odd"].items():
        for kind, row in kinds.items():
            changes = [f"{row['before'][key]} → {row['now'][key]}" for key in BELIEF]
            rows.append([world, kind, str(row["now"]["searches"]), *changes])
    titles = ["first hit", "ten hits", "right below 0.3", "presence AUROC", "presence"]
    return table(["world", "texts", "searches", *titles], rows)


BELIEF = ("first_hit", "ten_hits", "right_below_0.3", "presence_auroc", "presence")


def references_sets() -> str:
    """Ten names of an ImageNet model without its list, asked of `search --labels`."""
    rows = [
        [model, *(_share(row[way][key]) for key in ("first", "paired") for way in WAYS)]
        for model, row in _result().get("label sets", {}).items()
    ]
    titles = ["first of the models", "by behaviour", "labels on their output", "by behaviour"]
    return table(["sought", *titles], rows)


def references_inet() -> str:
    """One ImageNet model teaches, 2,239 probes."""
    return _pairs(_result().get("one reference, 2239 probes", {}))


TABLES = (
    references_one,
    references_wrong,
    references_heads,
    references_sizes,
    references_half,
    references_describe,
    references_others,
    references_time,
    references_twins,
    references_confidence,
    references_belief,
    references_sets,
    references_inet,
)
