"""Tables of the server and its map."""

from tables.form import read_result, table


def serve_times() -> str:
    """A server beside the library, on the same texts."""
    found = read_result("speed_serve")
    rows = [
        ["a text seen before, p50", found["search_ms_p50"], found["library_ms_p50"]],
        ["difference, median of pairs", found["overhead_over_library_ms"], ""],
        ["a new text, p50", found["search_new_ms_p50"], found["library_new_ms_p50"]],
        ["difference, median of pairs", found["overhead_over_library_new_ms"], ""],
        ["all, p99", found["search_ms_p99"], ""],
    ]
    return table(
        ["ms", "server", "library"],
        [
            [name, *(f"{value:.1f}" if value != "" else "" for value in values)]
            for name, *values in rows
        ],
    )


def map_frames() -> str:
    """What a movement of the mouse over the map of 100,000 outputs costs."""
    found = read_result("speed_map")
    rows = [
        [
            name,
            f"{row['work_ms']:.1f}",
            f"{found['baseline']['rows'][name]['work_ms']:.1f}",
            f"{found['baseline']['rows'][name]['work_ms'] / row['work_ms']:.1f}",
            f"{row['frame_ms_p50']:.1f}",
            f"{row['frame_ms_p99']:.1f}",
        ]
        for name, row in found["rows"].items()
    ]
    return table(
        [
            "",
            "work, ms",
            "all points painted anew (baseline), ms",
            "ratio",
            "frame p50, ms",
            "p99, ms",
        ],
        rows,
    )


TABLES = (serve_times, map_frames)
