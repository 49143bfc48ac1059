"""Tables of bare model files: what was found without model.json beside what it says."""

from typing import Any

from tables.form import read_result, table


def _counts(name: str, row: dict[str, int]) -> list[str]:
    models = row["models"]
    return [
        name,
        str(models),
        f"{row['baseline_right']}",
        f"{row['baseline_right_in_effect']}",
        f"{row['right']}",
        f"{row['right_in_effect']}",
        f"{row['twins_found']} of {row['twins']}",
    ]


def bare_files() -> str:
    """How many models are fed rightly, by what was assumed before and by trying."""
    found = read_result("quality_bare_files")
    columns = ["models", "n", "assumed: right", "or r > 0.98", "found: right", "or r > 0.98"]
    rows = [
        _counts(name, found[key])
        for name, key in (
            ("shared hub", "shared"),
            ("of these, the rule was chosen on", "shared_chosen_on"),
            ("of these, kept aside", "shared_kept_aside"),
            ("demo world (chosen on)", "demo"),
        )
    ]
    return table([*columns, "twins' order found"], rows)


def _cell(row: dict[str, Any], key: str) -> str:
    return f"{row[key]['channels']}, {row[key]['scale']}"


def _margin(row: dict[str, Any], field: str) -> str:
    margin = row["margin"][field]
    return "" if margin is None else f"{margin:+.2f} over {row['runner_up'][field]}"


def bare_file_models() -> str:
    """Each model of the shared hub."""
    found = read_result("quality_bare_files")
    columns = ["model", "model.json", "found", "scale", "channels", "r", "assumed: r"]
    rows = [
        [
            row["model"],
            _cell(row, "truth"),
            "same" if row["right"] else _cell(row, "found"),
            _margin(row, "scale") or row["origin"]["scale"],
            _margin(row, "channels") or row["origin"]["channels"],
            f"{row['correlation']:.3f}",
            f"{row['baseline_correlation']:.3f}",
        ]
        for row in found["shared_models"]
    ]
    return table(columns, rows)


def bare_file_geometry() -> str:
    """Crop or stretch: what was decided, on the pictures and on squeezed ones."""
    models = read_result("quality_bare_files")["shared_models"]
    rows = [
        [
            model["model"],
            f"{row['found']}, {row['margin']:+.2f}",
            f"{row['squeezed_found']}, {row['squeezed_margin']:+.2f}",
            f"{row['correlation_of_both']:.3f}",
        ]
        for model in models
        for row in [model["resize"]]
    ]
    columns = ["model (all crop)", "found, margin", "squeezed pictures: found, margin", "r of both"]
    return table(columns, rows)


TABLES = (bare_files, bare_file_models, bare_file_geometry)
