"""Tables of the third voice: models of a hub."""

from typing import Any

from tables.form import read_result, table

SCENARIOS = (
    "image-only",
    "behaviour only",
    "with names",
    "names shifted by one",
    "names permuted",
    "20 decoys, behaviour only",
    "20 decoys, with names",
    "specialists removed, behaviour only",
    "specialists removed, with names",
    "a reference teaches, behaviour only",
    "a reference teaches, through its labels",
    "a reference teaches, all lists read",
)


def _range(rows: dict[str, dict[str, Any]], scenario: str, key: str) -> str:
    """The range of a figure of a scenario over its seeds."""
    found = [row[key] for name, row in rows.items() if name.startswith(scenario)]
    low, high = f"{min(found):.3f}", f"{max(found):.3f}"
    return low if low == high else f"{low} to {high}"


def _scenarios(key: str) -> str:
    sets = read_result("quality_specialists")["sets"]
    rows = [
        [scenario, *(_range(each["rows"], scenario, key) for each in sets.values())]
        for scenario in SCENARIOS
    ]
    return table(["", *sets], rows)


def specialists_scenarios() -> str:
    """Accuracy of image and selected models in every scenario, on all pictures."""
    return _scenarios("acc1")


def specialists_report_half() -> str:
    """The same on the half of the pictures that was not used for development."""
    return _scenarios("report_half")


def specialists_stability() -> str:
    """Accuracy of the selected models for other queries: random subsets, and repeated pictures."""
    sets = read_result("quality_specialists")["sets"]
    rows = []
    for evidence in ("with names", "behaviour only"):
        cells, repeated, choices = [], [], []
        for each in sets.values():
            found = each["stability"][evidence]
            low, high = found["worst"], found["best"]
            cells.append(f"{found['mean']:.3f} ({low:.3f} to {high:.3f})")
            repeated.append(f"{found['queries']['each four times']['acc1']:.3f}")
            choices.append(str(found["sets_of_models"]))
        rows.append([f"{evidence}: mean (worst to best)", *cells])
        rows.append([f"{evidence}: each picture four times", *repeated])
        rows.append([f"{evidence}: different sets of models, of 11", *choices])
    return table(["", *sets], rows)


def specialists_evidence() -> str:
    """The first model by each kind of evidence alone, and its accuracy."""
    sets = read_result("quality_specialists")["sets"]
    rows = []
    for kind in ("pictures", "probes", "pictures and probes", "names"):
        cells = []
        for each in sets.values():
            found = each["evidence_alone"][kind]
            own = "" if found["its_accuracy"] is None else f", {found['its_accuracy']:.3f}"
            cells.append(f"{found['first']} {found['outputs_right']}/{found['outputs_named']}{own}")
        rows.append([kind, *cells])
    return table(["evidence", *sets], rows)


def specialists_lists() -> str:
    """Agreement of the pictures of flowers5 with the published lists of the hub's models."""
    found = read_result("quality_specialists")["sets"]["flowers5"]["published_lists"]
    rows = [
        [
            model,
            str(row["names"]),
            f"{row['agree']:.2f}",
            f"{row['orders_that_agree']} of {row['orders']}" if "orders" in row else "",
        ]
        for model, row in found.items()
    ]
    columns = ["published list", "labels named", "agreement", "orders of it that agree enough"]
    return table(columns, rows)


def _voices(evidence: str) -> str:
    measured = read_result("quality_voices")["sets"]
    sets = {name: each for name, each in measured.items() if evidence in each}
    names = [row["voices"] for row in next(iter(sets.values()))[evidence]["rows"]]
    rows = []
    for name in names:
        cells = []
        for each in sets.values():
            found = next((r for r in each[evidence]["rows"] if r["voices"] == name), None)
            low, high = found["ci95"] if found else (0, 0)
            cells.append(f"{found['acc1']:.3f} ({low:.3f} to {high:.3f})" if found else "-")
        rows.append([name, *cells])
    asked = [
        ", ".join(model["model"] for model in each[evidence]["specialists"]) or "none"
        for each in sets.values()
    ]
    return table(["", *sets], [*rows, ["models asked", *asked]])


def voices_named() -> str:
    """Every set of voices, end to end, with published names as evidence."""
    return _voices("with names")


def voices_behaviour() -> str:
    """The same without published names."""
    return _voices("behaviour only")


def voices_speed() -> str:
    """The cost of the third voice, relative to bare inference of its models, for each set."""
    rows = [
        [name, str(each["pictures"]), ", ".join(each["models_asked"]), f"{each['ratio']:.2f}"]
        for name, each in read_result("speed_voices")["sets"].items()
    ]
    return table(["set", "pictures", "models asked", "time over bare inference"], rows)


TABLES = (
    voices_speed,
    specialists_scenarios,
    specialists_report_half,
    specialists_stability,
    specialists_evidence,
    specialists_lists,
    voices_named,
    voices_behaviour,
)
