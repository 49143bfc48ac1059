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
        ["ResNet-50, opened and a batch of eight: CPU s", _against_onnxruntime(times)],
        ["ResNet-50, opened and one picture: CPU s", _against_onnxruntime(times["one_picture"])],
    ]
    return table(["", "figure"], rows)


def _against_onnxruntime(times: dict[str, Any]) -> str:
    """The CPU seconds of Lagotto, and of onnxruntime with an exported file."""
    return (
        f"{times['cpu_lagotto_s']:.2f} (onnxruntime, exported file: "
        f"{times['cpu_onnxruntime_s']:.2f}), ratio {times['cpu_ratio']:.2f}"
    )


def _seconds(found: dict[str, Any]) -> str:
    return f"{found['median_open_s']:.2f} ({found['largest_open_s']:.2f})"


def checkpoint_rows() -> str:
    """Each checkpoint."""
    return _rows("quality_checkpoints")


def checkpoint_heavy() -> str:
    """Each checkpoint of a larger network."""
    return _rows("quality_checkpoints_heavy")


def checkpoint_sizes() -> str:
    """Each checkpoint of a network for pictures of another size, with the size that was found."""
    rows = [
        [row["name"], str(row["size"]), str(row.get("found_size", "refused")), _difference(row)]
        for row in read_result("quality_checkpoints_sizes")["rows"]
    ]
    return table(["network", "size", "found", "difference"], rows)


def _rows(result: str) -> str:
    rows = [
        [
            row["name"],
            row["style"],
            row.get("found", ""),
            _difference(row),
            f"{row['open_s']:.2f}",
        ]
        for row in read_result(result)["rows"]
    ]
    return table(["network", "style", "found", "difference", "s to open"], rows)


def _difference(row: dict[str, Any]) -> str:
    return f"{row['difference']:.0e}" if "difference" in row else "refused"


def checkpoint_variants() -> str:
    """Which of two networks with the same tensors was taken for each checkpoint."""
    rows = [
        [
            row["network"],
            row["kind"],
            row["truth"] or "-",
            row["taken"] + ("" if row["sure"] else ", assumed"),
            f"{row['tf_ahead']:+.2f}",
        ]
        for row in read_result("quality_variants")["rows"]
    ]
    return table(["network", "weights", "right one", "taken", "`tf_` ahead by"], rows)


TABLES = (
    *(checkpoints, checkpoint_rows, checkpoint_heavy, checkpoint_sizes),
    *(checkpoint_variants,),
)
