"""Tables of caption stores on a server: recall, times and sizes beside a store in a folder."""

from tables.form import read_result, table


def captions_server_times() -> str:
    """A row a size: recall, milliseconds a query in a folder and on the server, their ratio."""
    rows = [
        [
            f"{row['captions']:,}",
            f"{row['recall_at_16']:.4f}",
            f"{row['recall_of_votes']:.4f}",
            f"{row['disk_ms']:.1f}",
            f"{row['server_ms']:.1f} ({row['ratio_ms']:.2f})",
            f"{row['server_scan_ms']:.0f}",
            f"{row['disk_votes_ms']:.1f}",
            f"{row['server_votes_ms']:.1f} ({row['ratio_votes_ms']:.2f})",
        ]
        for row in read_result("speed_captions_server")["rows"]
    ]
    columns = [
        *("captions x 512", "recall@16", "recall of the votes", "16 nearest, folder, ms"),
        *("server, ms (ratio)", "server without index, ms", "votes, folder, ms"),
        "server, ms (ratio)",
    ]
    return table(columns, rows)


def captions_server_sizes() -> str:
    """A row a size: seconds to make both stores, of these the index, and megabytes."""
    rows = [
        [
            f"{row['captions']:,}",
            f"{row['disk_create_s']:.1f}",
            f"{row['server_create_s']:.1f} ({row['ratio_create']:.1f})",
            f"{row['server_index_s']:.1f}",
            f"{row['disk_mb']:,.0f}",
            f"{row['server_mb']:,.0f}",
        ]
        for row in read_result("speed_captions_server")["rows"]
    ]
    columns = [
        *("captions x 512", "create, folder, s", "create, server, s (ratio)", "of these index, s"),
        *("folder, MB", "server, MB"),
    ]
    return table(columns, rows)


TABLES = (captions_server_times, captions_server_sizes)
