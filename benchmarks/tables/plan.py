"""The table of what `hub plan` said beside what hubs took."""

from tables.form import read_result, table

SHOWN = {
    "minutes": "to add them, processor minutes over the cores",
    "disk_mb": "disk, MB",
    "responses_mb": "responses, MB",
    "descriptors_mb": "descriptors, MB",
    "catalogue_mb": "catalogue, MB",
    "probes_mb": "probes and words, MB",
    "memory_mb": "memory to search, MB",
    "query_ms": "a text, processor ms",
}
BY = {"machine": "the machine alone", "hub": "a hub as well"}


def plan_predictions() -> str:
    """Predicted, measured and their ratio, for each hub and each way to plan it."""
    rows = []
    for row in read_result("speed_plan")["rows"]:
        hub = f"{row['models']} models x {row['outputs']:g} outputs, {row['probes']} probes"
        for name, words in SHOWN.items():
            if name in row["ratio"]:
                predicted, measured = row["predicted"][name], row["measured"][name]
                ratio = f"{row['ratio'][name]:.2f}"
                rows.append(
                    [hub, BY[row["by"]], words, f"{predicted:.3g}", f"{measured:.3g}", ratio]
                )
    return table(["hub", "planned by", "what", "predicted", "measured", "ratio"], rows)


TABLES = (plan_predictions,)
