"""Tables of cost and reliability."""

from tables.form import read_result, table


def probing_speed() -> str:
    """The cost of `hub add`."""
    runs = [read_result(name) for name in ("speed_probing", "speed_probing_few")]
    rows = [
        ["`hub add`", *(f"{run['ratio_to_bare']:.2f}" for run in runs)],
        ["bare inference on prepared arrays (baseline)", *("1.00" for _ in runs)],
        ["every model decodes for itself", *(f"{run['ratio_without_cache']:.2f}" for run in runs)],
    ]
    heads = [f"{run['models']} models x {run['probes']:,} photos" for run in runs]
    return table(["wall time, relative", *heads], rows)


def start_cost() -> str:
    """What starting a command costs, beside Python alone, and the size of the wheel."""
    found = read_result("speed_start")
    seconds = found["cpu_s"]
    rows = [
        ["`python -c pass` (baseline), CPU ms", f"{1000 * seconds['python']:.0f}"],
        ["`import lagotto`, CPU ms", f"{1000 * seconds['import']:.0f}"],
        ["imports of typer and rich alone, CPU ms", f"{1000 * seconds['typer']:.0f}"],
        ["`lagotto --help`, CPU ms", f"{1000 * seconds['help']:.0f}"],
        ["wheel, MB (bar: under 12)", f"{found['wheel_bytes'] / 1e6:.1f}"],
    ]
    return table(["start", "figure"], rows)


def search_speed() -> str:
    """A query over a million logits."""
    found = read_result("speed_search")
    rows = [
        ["compiled kernel, probe-major int8", f"{found['ms']:.1f}"],
        ["numpy kernel, probe-major int8", f"{found['numpy_kernel_ms']:.1f}"],
        ["plain row-major gather (baseline)", f"{found['row_major_ms']:.0f}"],
    ]
    return table(
        [f"{found['logits']:,} logits x {found['probes']:,} probes, k = {found['k']}", "ms"], rows
    )


def query_speed() -> str:
    """The time of a whole text query and of the scan inside it."""
    found = read_result("speed_query")
    base = found["rows"]["bare compiled scan"]["ms"]
    rows = [
        [name, f"{row['first_ms']:.1f}", f"{row['ms']:.1f}", f"{row['ms'] / base:.1f}"]
        for name, row in found["rows"].items()
    ]
    head = f"{found['logits']:,} logits x {found['probes']:,} probes, k = {found['k']}"
    return table([head, "first query, ms", "later, ms", "bare scans"], rows)


def first_look() -> str:
    """The loss of accuracy by a first stage on half of the probes."""
    found = read_result("quality_first_look")["rows"]
    looks = ("all k probes", "the surer half")
    lengths = list(next(iter(found.values()))[looks[0]])
    rows = [
        [probes, look, *(f"{world[look][length]['ten']:.3f}" for length in lengths)]
        for probes, world in found.items()
        for look in looks
    ]
    return table(["probes", "first look", *(f"best {length}" for length in lengths)], rows)


def growth() -> str:
    """What one more model costs."""
    rows = [
        [
            f"{row['models']:,}",
            f"{row['add_one_cpu_s']:.2f}",
            f"{row['add_one_read_mb']:.1f} / {row['add_one_written_mb']:.1f}",
            f"{row['open_cpu_s']:.2f} ({row['open_s']:.1f})",
            f"{row['status_cpu_s']:.2f}",
            f"{row['rss_mb']:.0f}",
        ]
        for row in read_result("speed_growth")["rows"]
    ]
    head = ["models", "add one, s", "read / written, MB", "open and ask once, s (clock)"]
    return table([*head, "status, s", "peak memory of asking, MB"], rows)


def cold_scan() -> str:
    """A scan of rows that are on the disk only."""
    found = read_result("speed_cold")
    rows = [
        [name, f"{row['ms']:.0f}", f"{row['to_sequential']:.2f}"]
        for name, row in found["rows"].items()
    ]
    head = f"{found['k']} rows of {found['logits']:,} logits, from the disk"
    return table([head, "ms", "to a sequential read"], rows)


def large_hub() -> str:
    """A query of ten million logits."""
    found = read_result("speed_large")
    rows = [
        [name, f"{row['ms']:.0f}", f"{row['beyond_the_bytes_ms']:.0f}"]
        for name, row in found["rows"].items()
    ]
    head = f"{found['logits']:,} logits x {found['probes']:,} probes, k = {found['k']}"
    return table([head, "ms", "beyond reading the bytes, ms"], rows)


def kills() -> str:
    """kill -9 and resume."""
    found = read_result("reliability_kill_resume")
    names = ["kills", "resumed_hubs", "hubs_that_differ", "hubs_that_do_not_verify", "models"]
    return table([name.replace("_", " ") for name in names], [[str(found[name]) for name in names]])


def kill_anywhere() -> str:
    """kill -9 of every command that writes."""
    return _kills_of("reliability_kill_anywhere")


def kill_all_commands() -> str:
    """The same, with the commands that came later."""
    return _kills_of("reliability_kill_all_commands")


def _kills_of(result: str) -> str:
    found = read_result(result)
    names = ["moments", "trials", "differing", "unverified", "leftovers", "broken"]
    head = ["commands", *names]
    return table(head, [[str(len(found["commands"])), *(str(found[name]) for name in names)]])


def mixed_use() -> str:
    """Eight processes on one hub and one store."""
    found = read_result("reliability_mixed_use")
    rows = [["minutes", f"{found['minutes']:g}"]]
    rows += [[f"steps of {name}", str(count)] for name, count in found["steps"].items()]
    rows += [
        [name.replace("_", " "), str(found[name])]
        for name in ("answers_compared", "states", "wrong", "errors")
    ]
    rows.append(["processes that grew", str(len(found["grown"]))])
    return table(["mixed use", "count"], rows)


TABLES = (
    *(probing_speed, start_cost, search_speed, query_speed, first_look, kills),
    *(growth, cold_scan, large_hub, kill_anywhere, kill_all_commands, mixed_use),
)
