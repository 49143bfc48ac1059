"""Tables of what may be believed of a hit: confidence, presence, quality, hubness."""

from typing import Any

from result_tables.form import read_result, table


def _worlds() -> dict[str, Any]:
    return dict(read_result("quality_calibration")["worlds"])


def presence() -> str:
    """AUROC of concepts that the hub knows against the same ones without the models that do."""
    rows = []
    for name, world in _worlds().items():
        for way, found in world["presence"]["auroc"].items():
            sizes = ("10", "25", "50", "100", "all models")
            rows.append([name, way, *(f"{found[size]:.3f}" for size in sizes)])
    columns = ["probes", "told by", "hub of 10", "25", "50", "100", "all models"]
    return table(columns, rows)


def confidence() -> str:
    """Reliability of the ten best hits, in deciles of confidence."""
    rows = []
    for name, world in _worlds().items():
        for low, high, count, predicted, true, (least, most) in world["confidence"]["confidence"][
            "ten hits"
        ]["bins"]:
            gap = f"{100 * (predicted - true):+.1f} ({100 * least:+.1f} to {100 * most:+.1f})"
            rows.append([name, f"{low:.1f} to {high:.1f}", str(count), f"{predicted:.3f}"])
            rows[-1] += [f"{true:.3f}", gap]
    return table(["probes", "confidence", "hits", "mean", "right", "gap, points (95 %)"], rows)


def confidence_before() -> str:
    """The confidence, and the chance of such a score by accident, which was shown before."""
    rows = []
    for name, world in _worlds().items():
        for way, found in world["confidence"].items():
            for hits, numbers in found.items():
                keys = ("calibration_error", "worst_gap_of_30", "auroc")
                rows.append([name, way, hits, *(f"{numbers[key]:.3f}" for key in keys)])
    columns = ["probes", "told by", "of", "calibration error", "worst gap", "AUROC of right hits"]
    return table(columns, rows)


def quality() -> str:
    """Spearman correlation of quality with the held-out accuracy of labels."""
    rows = []
    for name, world in _worlds().items():
        found = world["quality"]
        rows.append([name, f"all {found['hits']} hits, a wrong one counting 0"])
        rows[-1] += [f"{found['all_hits']:.3f}", "-"]
        rows.append([name, f"the {found['right_hits']} right hits"])
        rows[-1] += [f"{found['right_hits_spearman']:.3f}", f"{found['right_hits_ceiling']:.3f}"]
        rows.append([name, "right hits, within a concept"])
        rows[-1] += [f"{found['right_hits_within_concept']:.3f}", "-"]
    return table(["probes", "hits", "Spearman", "the true accuracy itself"], rows)


def hubness() -> str:
    """Corrections by the background words on the same logit."""
    rows = [
        [name, way, f"{found['top1']:.3f}", f"{found['presence_auroc']:.3f}"]
        for name, world in _worlds().items()
        for way, found in world["hubness"].items()
    ]
    return table(["probes", "correction", "Top-1", "AUROC of presence, first hit"], rows)


TABLES = (presence, confidence, confidence_before, quality, hubness)
