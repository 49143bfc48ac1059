"""Tables of the low-rank index: recall on real responses, size, and speed against a scan."""

from typing import Any

from tables.form import read_result, table

KINDS = ("names, 50 probes", "names, all probes", "known logits")


def low_rank_mini() -> str:
    """The 300 heads: recall@10 by rank and number of candidates."""
    rows = [
        [
            str(row["rank"]),
            f"{row['size_ratio']:.1f}",
            str(row["candidates"]),
            *(f"{row['recall_at_10'][kind]:.3f}" for kind in KINDS),
        ]
        for row in read_result("speed_low_rank")["mini"]["rows"]
    ]
    return table(["rank", "times smaller", "candidates", *KINDS], rows)


def low_rank_synthetic() -> str:
    """One and ten million logits: size, recall@10, milliseconds of index and scan."""
    found = read_result("speed_low_rank")["synthetic"]["rows"]
    rows = [
        [
            f"{row['logits']:,} x {row['probes']:,}",
            f"{row['index_mb']:,.0f} MB ({row['size_ratio']:.1f})",
            kind,
            f"{row['queries'][kind]['candidates']:,}",
            f"{row['queries'][kind]['recall_at_10']:.3f}",
            _ms(row["queries"][kind], "index_ms"),
            _ms(row["queries"][kind], "exact_ms"),
        ]
        for row in found
        for kind in KINDS
    ]
    columns = ["logits x probes", "index (times smaller)", "query", "candidates", "recall@10"]
    return table([*columns, "through the index", "exact scan"], rows)


def _ms(query: dict[str, Any], key: str) -> str:
    return f"{query[key]:.1f} ms" if key in query else "-"


TABLES = (low_rank_mini, low_rank_synthetic)
