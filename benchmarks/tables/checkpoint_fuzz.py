"""Tables of damaged checkpoints."""

from tables.form import read_result, table


def checkpoint_fuzz() -> str:
    """What became of the damaged files, by reader and kind of damage."""
    found = read_result("reliability_checkpoint_fuzz")
    rows = []
    for reader, item in found["readers"].items():
        ends: dict[str, dict[str, int]] = {}
        for kind, count in item["kinds"].items():
            damage, _, end = kind.rpartition(", ")
            ends.setdefault(damage, {})[end] = count
        rows += [
            [
                reader,
                damage,
                f"{sum(counts.values()):,}",
                *(f"{counts.get(end, 0):,}" for end in ("read", "refused", "other error")),
            ]
            for damage, counts in ends.items()
        ]
    return table(["reader", "damage", "files", "read", "refused", "other error"], rows)


def checkpoint_fuzz_checks() -> str:
    """What must be so after all of them, and what the worst one took."""
    found = read_result("reliability_checkpoint_fuzz")
    rows = [[name.replace("_", " "), "yes" if so else "NO"] for name, so in found["checks"].items()]
    readers = found["readers"].values()
    rows.append(["slowest, s", f"{max(item['slowest_s'] for item in readers):.2f}"])
    rows.append(["memory of a worker, MB", str(max(item["memory_mb"] for item in readers))])
    return table([f"after {found['files']:,} files", ""], rows)


TABLES = (checkpoint_fuzz, checkpoint_fuzz_checks)
