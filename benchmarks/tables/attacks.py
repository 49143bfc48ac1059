"""Tables of what became of hostile files."""

from tables.form import read_result, table

_SHOWN = 90


def attack_checks() -> str:
    """What must be so after all of them."""
    found = read_result("reliability_attacks")
    rows = [[name.replace("_", " "), "yes" if so else "NO"] for name, so in found["checks"].items()]
    return table([f"after {found['attacks']} attacks", ""], rows)


def attacks() -> str:
    """One row an attack."""
    found = read_result("reliability_attacks")
    rows = [
        [fate["kind"], _cell(fate["tries"]), fate["outcome"], _cell(_short(fate["reason"]))]
        for fate in found["fates"]
    ]
    return table(["kind", "what it tries", "became", "reason recorded"], rows)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _cell(text: str) -> str:
    """A text as it stands, in a Markdown cell."""
    if not text:
        return "-"
    for sign in "\\`*_<>[]|":
        text = text.replace(sign, f"\\{sign}")
    return text


TABLES = (attack_checks, attacks)
