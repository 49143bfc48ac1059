"""Tables of what may be believed of a hit: confidence, presence, quality, hubness."""

from typing import Any

from lagotto.hubsearch.confidence import PRESENT
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
            rows[-1].append(_range(found["95 %"]))
    columns = ["probes", "told by", "hub of 10", "25", "50", "100", "all models", "95 %"]
    return table(columns, rows)


def notices() -> str:
    """How often a search says that nothing recognises the concept, where it is absent, or not."""
    rows = []
    for name, world in _worlds().items():
        for way, told in world["presence"]["told"].items():
            cells = told["reliability"]["bins"]
            shares = []
            for present in (False, True):
                counts = [row[2] * (row[4] if present else 1 - row[4]) for row in cells]
                low = sum(n for n, row in zip(counts, cells, strict=True) if row[1] <= PRESENT)
                shares.append(f"{low / sum(counts):.3f}")
            rows.append([name, way, *shares])
    return table(["probes", "by", "told where it is absent", "told where it is there"], rows)


def wrong_lists() -> str:
    """Presence where every list of labels is permuted, and what the audits say of the lists."""
    rows = []
    for name, world in _worlds().items():
        lists = world["lists"]
        for kind, verdicts in lists["verdicts"].items():
            believed = verdicts["believed labels"]
            said = ", ".join(f"{n} {what}" for what, n in verdicts.items() if "labels" not in what)
            auroc = lists["permuted"] if kind == "permuted" else _as_published(world)
            told = [
                f"{auroc[way]['all models']:.3f}"
                for way in ("behaviour only", "believed labels too")
            ]
            rows.append([name, kind, said, str(believed), *told])
    columns = ["probes", "lists", "verdicts", "labels believed", "behaviour only", "labels too"]
    return table(columns, rows)


def _as_published(world: dict[str, Any]) -> dict[str, Any]:
    found = world["presence"]["auroc"]
    return {way: found[f"presence, {way}"] for way in ("behaviour only", "believed labels too")}


def _range(edges: list[float]) -> str:
    return f"{edges[0]:.3f} to {edges[1]:.3f}"


def confidence() -> str:
    """Reliability of the ten best hits and of the first, in deciles of confidence."""
    rows = []
    for name, world in _worlds().items():
        for hits, found in world["confidence"]["confidence"].items():
            for low, high, count, predicted, true, (least, most), concepts in found["bins"]:
                gap = f"{100 * (predicted - true):+.1f} ({100 * least:+.1f} to {100 * most:+.1f})"
                rows.append([name, hits, f"{low:.1f} to {high:.1f}", str(count)])
                rows[-1] += [f"{concepts:.0f}", f"{predicted:.3f}", f"{true:.3f}", gap]
    columns = ["probes", "of", "confidence", "hits", "amount to concepts", "mean", "right"]
    return table([*columns, "gap, points (95 %)"], rows)


def confidence_before() -> str:
    """All kinds of confidence, with the worst gap of a decile beside what chance alone makes."""
    rows = []
    for name, world in _worlds().items():
        ways = dict(world["confidence"])
        for way, told in world["presence"]["told"].items():
            ways[f"presence, {way}"] = {"search": told["reliability"]}
        for way, found in ways.items():
            for hits, numbers in found.items():
                rows.append([name, way, hits, f"{numbers['calibration_error']:.3f}"])
                rows[-1].append(f"{numbers['worst_gap_of_30']:.3f}")
                chance = numbers["worst_gap_by_chance"]
                rows[-1].append(f"{chance['median']:.3f}, below {chance['95 %']:.3f}")
                rows[-1].append(f"{numbers['auroc']:.3f}")
    columns = ["probes", "told by", "of", "calibration error", "worst gap of a decile"]
    return table([*columns, "the same without any error (median, 95 %)", "AUROC"], rows)


def quality() -> str:
    """Spearman correlation of quality with the held-out accuracy of labels."""
    rows = []
    for name, world in _worlds().items():
        found = world["quality"]
        rows.append([name, f"all {found['hits']} hits, a wrong one counting 0"])
        rows[-1] += [f"{found['all_hits']:.3f}", _range(found["all_hits_95"]), "-"]
        rows.append([name, "the same, believed labels too"])
        rows[-1] += [f"{found['all_hits_by_name']:.3f}", _range(found["all_hits_by_name_95"]), "-"]
        rows.append([name, f"the {found['right_hits']} right hits"])
        rows[-1] += [f"{found['right_hits_spearman']:.3f}", _range(found["right_hits_95"])]
        rows[-1].append(f"{found['right_hits_ceiling']:.3f}")
        rows.append([name, "right hits, within a concept"])
        rows[-1] += [f"{found['right_hits_within_concept']:.3f}", "-", "-"]
    return table(["probes", "hits", "Spearman", "95 %", "the true accuracy itself"], rows)


def hubness() -> str:
    """Corrections by the background words on the same logit."""
    rows = [
        [name, way, f"{found['top1']:.3f}", f"{found['presence_auroc']:.3f}"]
        for name, world in _worlds().items()
        for way, found in world["hubness"].items()
    ]
    return table(["probes", "correction", "Top-1", "AUROC of presence, first hit"], rows)


TABLES = (presence, notices, wrong_lists, confidence, confidence_before, quality, hubness)
