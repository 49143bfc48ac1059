"""Tables of damaged hubs and stores, and of files as people have them."""

from tables.form import read_result, table

_FOLDERS = {
    "hub": "hub",
    "captions": "caption store",
    "shares": "hub with partly probed models",
    "copy": "imported hub",
    "fetched": "hub in the cache of published ones",
    "export": "export, then imported",
    "merge": "hub that is merged into another",
    "growing": "growth that was cut off, then resumed",
}
_KINDS = ("tried", "detected", "harmless", "silent", "traceback", "crash")


def damages() -> str:
    """What became of every file, damaged one at a time."""
    found = read_result("reliability_damage")
    rows = [
        [words, *(str(found[name][kind]) for kind in _KINDS)]
        for name, words in _FOLDERS.items()
        if name in found
    ]
    return table(["", *_KINDS], rows)


def cases() -> str:
    """How many families of files are read right."""
    found = read_result("reliability_cases")
    return table(["families", "right"], [[str(found["cases"]), str(found["right"])]])


TABLES = (damages, cases)
