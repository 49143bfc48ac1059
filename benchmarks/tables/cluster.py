"""The table of `--runner ray` beside the local runner."""

from statistics import median

from tables.form import read_result, table

KINDS = ("local", "ray", "ray with losses")
STAGES = ("loading models", "decoding probes", "probing")


def cluster_runs() -> str:
    """Medians over the rounds: seconds of each part, and the ratios to the local run."""
    found = read_result("speed_ray")
    rows = []
    for kind in KINDS:
        runs = [row for row in found["rows"] if row["kind"] == kind]
        if not runs:
            continue
        ratios = found["ratio_to_local"].get(kind, {"after_first_model": 1.0, "processor": 1.0})
        start = [row["cluster_start_s"] for row in runs if "cluster_start_s" in row]
        rows.append(
            [
                kind,
                f"{median(start):.1f}" if start else "",
                f"{median(row['until_first_s'] for row in runs):.1f}",
                *(f"{median(row['stages_s'][name] for row in runs):.1f}" for name in STAGES),
                f"{median(row['rest_s'] for row in runs):.1f}",
                f"{ratios['after_first_model']:.2f}",
                f"{median(row['processor_s'] for row in runs):.0f}",
                f"{ratios['processor']:.2f}",
                f"{max(max(row['load']) for row in runs):.0f}",
            ]
        )
    columns = ["run", "cluster starts, s", "until the first model is loaded, s"]
    columns += [*(f"{name}, s" for name in STAGES), "all after the first model, s"]
    columns += ["beside local", "processor, s", "beside local", "load of the machine, at most"]
    return table(columns, rows)


TABLES = (cluster_runs,)
