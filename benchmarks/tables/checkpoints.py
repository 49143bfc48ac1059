"""Tables of checkpoints in the styles of users."""

from typing import Any

from tables.form import read_result, table


def checkpoints() -> str:
    """How many are recognized, and equal to torch."""
    found = read_result("quality_checkpoints")
    times = found["resnet50"]
    rows = [
        ["checkpoints", f"{found['checkpoints']} of {found['architectures']} architectures"],
        ["recognized", str(found["recognized"])],
        ["logits equal to torch's, 1e-4 of the largest", str(found["equal"])],
        ["largest difference", f"{found['largest_difference']:.0e}"],
        ["networks of no table, refused", f"{found['home_made_refused']} of {found['home_made']}"],
        ["seconds to open, median (largest)", _seconds(found)],
        [
            "ResNet-50, opened and a batch of eight: s (onnxruntime, exported file)",
            f"{times['lagotto_s']:.2f} ({times['onnxruntime_s']:.2f}), ratio {times['ratio']:.2f}",
        ],
    ]
    return table(["", "figure"], rows)


def _seconds(found: dict[str, Any]) -> str:
    return f"{found['median_open_s']:.2f} ({found['largest_open_s']:.2f})"


def checkpoint_rows() -> str:
    """Each checkpoint."""
    rows = [
        [
            row["name"],
            row["style"],
            row.get("found", ""),
            f"{row['difference']:.0e}" if "difference" in row else "refused",
            f"{row['open_s']:.2f}",
        ]
        for row in read_result("quality_checkpoints")["rows"]
    ]
    return table(["network", "style", "found", "difference", "s to open"], rows)


TABLES = (checkpoints, checkpoint_rows)
