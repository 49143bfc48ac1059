"""Tables of the networks of keras.applications, translated and compared with Keras."""

from itertools import groupby
from operator import itemgetter

from tables.form import read_result, table

_COLUMNS = ["network", "Keras", "forms", "million parameters", "equal", "difference", "opened in s"]


def keras_models() -> str:
    """A row for each network and major version: its forms, the largest difference, the time."""
    rows = []
    values = read_result("quality_keras_models")["rows"]
    for (network, library), group in groupby(values, itemgetter("network", "library")):
        forms = list(group)
        is_equal = all(row["equal"] for row in forms)
        rows.append(
            [
                network,
                library.removeprefix("keras"),
                ", ".join(row["form"] for row in forms),
                str(forms[0]["million_parameters"]),
                "yes" if is_equal else "no",
                f"{max(row['difference'] for row in forms):.0e}" if is_equal else "",
                str(max(row["open_s"] for row in forms)) if is_equal else "",
            ]
        )
    return table(_COLUMNS, rows)


TABLES = (keras_models,)
