"""Tables of what may be believed of a hit: confidence, presence, quality, hubness."""

from typing import Any

from lagotto.hub.confidence.calibrator import CONCEPT_LIKELY
from tables.form import read_result, table

DROPPED = "published, models dropped"


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
                low = sum(
                    n for n, row in zip(counts, cells, strict=True) if row[1] <= CONCEPT_LIKELY
                )
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


def deciles() -> str:
    """Reliability by behaviour with the larger set of probes, a row a decile."""
    found = _told("quality_calibration")
    probes = next(iter(_worlds()))
    shown = [
        (world, of, ways["confidence"][of])
        for (world, name), ways in found.items()
        if name == probes and world != DROPPED
        for of in ("first hit", "ten hits")
    ]
    rows = []
    for decile in range(10):
        rows.append([f"{decile / 10:.1f} to {(decile + 1) / 10:.1f}"])
        for *_, numbers in shown:
            here = [row for row in numbers["bins"] if round(row[0] * 10) == decile]
            rows[-1].append(_cell(*here[0]) if here else "-")
    return table(["confidence", *(f"{world}, {of}" for world, of, _ in shown)], rows)


def _cell(*row: Any) -> str:
    _, _, count, predicted, true, (least, most), _ = row
    gap = f"{100 * (predicted - true):+.0f} ({100 * least:+.0f} to {100 * most:+.0f})"
    return f"{gap} of {count}"


def _told(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """For each world and set of probes the figures of whatever is told of hits, and of searches."""
    result, found = read_result(name), {}
    for probes, world in result["worlds"].items():
        found["mini-hub", probes] = _with_presence(world)
    for probes, world in result["published"].items():
        found["published", probes] = _with_presence(world["absent"]["outputs hidden"])
    for probes, world in result["published"].items():
        told = world["absent"]["models dropped"]["confidence"]
        found[DROPPED, probes] = {"confidence": told["confidence"]}
    return found


def _with_presence(world: dict[str, Any]) -> dict[str, Any]:
    told = {
        f"presence, {way}": {"search": each["reliability"]}
        for way, each in world["presence"]["told"].items()
    }
    return {**world["confidence"], **told}


def calibration() -> str:
    """Calibration errors and worst deciles, before and now, beside what chance alone makes."""
    now, before = _told("quality_calibration"), _told("quality_calibration_before")
    rows = []
    for (world, probes), ways in now.items():
        for way, found in ways.items():
            for of, numbers in found.items():
                if way != "chance (before)":
                    old = before[world, probes][way][of]
                    rows.append([world, probes, way, of, *_summary(old, numbers)])
    columns = ["world", "probes", "told by", "of", "calibration error", "worst decile"]
    return table([*columns, "worst without any error", "all within 5", "AUROC"], rows)


def _summary(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    chance = now["worst_gap_by_chance"]
    return [
        *(
            f"{100 * before[what]:.1f} → {100 * now[what]:.1f}"
            for what in ("calibration_error", "worst_gap_of_30")
        ),
        f"{100 * chance['median']:.1f}, below {100 * chance['95 %']:.1f}",
        f"{100 * chance['within the bar']:.0f} %",
        f"{before['auroc']:.3f} → {now['auroc']:.3f}",
    ]


def presence_published() -> str:
    """AUROC of presence on the hub of published models, before and now."""
    now, before = (
        read_result(name)["published"]
        for name in ("quality_calibration", "quality_calibration_before")
    )
    rows = []
    for probes, world in now.items():
        for way in world["absent"]["models dropped"]["presence"]["auroc"]:
            rows.append([probes, way])
            for absent, found in world["absent"].items():
                old = before[probes]["absent"][absent]["presence"]["auroc"][way]["all models"]
                new = found["presence"]["auroc"][way]
                same = old == new["all models"]
                rows[-1].append(
                    f"{new['all models']:.3f}" if same else f"{old:.3f} → {new['all models']:.3f}"
                )
                rows[-1][-1] += f" ({_range(new['95 %'])})"
    return table(["probes", "told by", "models dropped", "outputs hidden"], rows)


def forms() -> str:
    """Held-out log loss of hits and calibration error of the forms that were compared."""
    found = read_result("quality_calibration_choice")["hits, behaviour"]
    cells = list(next(iter(found.values())))
    rows = []
    for name, by_cell in found.items():
        rows.append([name])
        rows[-1] += [f"{by_cell[c][0]:.3f} / {100 * by_cell[c][2]:.1f}" for c in cells]
        means = [sum(by_cell[c][i] for c in cells) / len(cells) for i in (0, 1)]
        rows[-1] += [f"{mean:.4f}" for mean in means]
    return table(["form", *cells, "mean log loss", "of first hits"], rows)


def quality_forms() -> str:
    """Spearman of the estimates of quality that were compared."""
    found = read_result("quality_calibration_choice")["quality"]
    names = list(next(iter(found.values())))
    rows = [
        [
            name,
            *(
                f"{each[name]['spearman']:.3f} ({_range(each[name]['95 %'])})"
                for each in found.values()
            ),
        ]
        for name in names
    ]
    return table(["estimate", *found], rows)


def quality() -> str:
    """Spearman correlation of quality with the held-out accuracy of labels."""
    rows = []
    for name, world in _worlds().items():
        found = world["quality"]
        rows.append([name, f"all {found['hits']} hits, a wrong one counting 0"])
        rows[-1] += [f"{found['all_hits']:.3f}", _range(found["all_hits_95"]), "-"]
        rows.append([name, "the same, believed labels too"])
        rows[-1] += [f"{found['all_hits_by_name']:.3f}", _range(found["all_hits_by_name_95"]), "-"]
        for who, key in (
            ("an oracle of which are right, our estimate of how well", "right_known"),
            ("our confidence, the measured accuracy of each label", "accuracy_known"),
            ("both known, measured on five photos", "both_known"),
        ):
            rows.append([name, who, f"{found['all_hits_' + key]:.3f}", "-", "-"])
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


TABLES = (
    presence,
    presence_published,
    notices,
    wrong_lists,
    forms,
    deciles,
    calibration,
    quality,
    quality_forms,
    hubness,
)
