"""The one table of docs/results.md: fourteen measurements, each beside its baseline."""

from typing import Any

from tables.form import read_result, table

PUBLISHED = "22 published models"
HEADS = "300 ImageNet heads"
COLUMNS = ["", "what", "on what", "figure", "baseline", "script", "what did not work"]
Row = tuple[str, str, str, str, str, str]


def summary() -> str:
    """Fourteen rows: what, on what, figure, baseline, script, what did not work."""
    makers = (
        _text_published,
        _text_heads,
        _logit,
        _names,
        _confidence,
        _describe,
        _captions,
        _specialists,
        _completion,
        _speed,
        _references,
        _backbones,
        _checkpoints,
        _first_hour,
        _none_of_these,
    )
    rows = [[str(number), *make()] for number, make in enumerate(makers, start=1)]
    return table(COLUMNS, rows)


def _search_row(world: str, kind: str, rule: str) -> dict[str, Any]:
    rows = read_result("quality_search")["worlds"][world]["rows"]
    found = next(row for row in rows if (row["kind"], row["rule"]) == (kind, rule))
    return dict(found)


def _top1(row: dict[str, Any]) -> str:
    low, high = row["ci95"]["top1"]
    return f"{row['top1']:.3f} ({low:.3f} to {high:.3f})"


def _text_published() -> Row:
    world, kind = "2,239 probes", "imagenet, reported half"
    found = _search_row(world, kind, "default")
    latin = _search_row(world, "fine", "default")["top1"]
    return (
        "search by text, Top-1",
        f"{PUBLISHED}, 2,239 probes, {found['queries']} ImageNet names",
        _top1(found),
        f"ProbeLog's rule: {_search_row(world, kind, 'paper')['top1']:.3f}",
        "`quality/search.py`",
        f"Names that the encoder does not know: {latin:.3f} on Latin bird names and Pokémon. "
        "Corrections of hubness and captions of the probes added nothing",
    )


def _text_heads() -> Row:
    kind = "label, reported half"
    found = _search_row("mini-hub", kind, "default")
    return (
        "search by text, Top-1",
        f"{HEADS}, 2,239 probes, {found['queries']} class names",
        _top1(found),
        f"ProbeLog's rule: {_search_row('mini-hub', kind, 'paper')['top1']:.3f}",
        "`quality/search.py`",
        "With probes of other subjects (1,239 captioned photos) the gain over ProbeLog is within "
        "its interval",
    )


def _logit() -> Row:
    world, kind = "2,239 probes", "logit, reported half"
    found = _search_row(world, kind, "default")
    return (
        "search by a known logit, Top-1",
        f"{PUBLISHED}, 2,239 probes, {found['queries']} logits",
        _top1(found),
        f"ProbeLog's rule, k = 50: {_search_row(world, kind, 'paper')['top1']:.3f}",
        "`quality/search.py`",
        "Nothing is gained over ProbeLog's own baseline, the distance on all probes: it *is* the "
        "default here",
    )


def _names() -> Row:
    rows = read_result("quality_names")["rows"]

    def top1(labels: str, rule: str) -> float:
        keys = ("half", "kind", "labels", "rule")
        at = ("reported", "imagenet", labels, rule)
        return float(next(row for row in rows if tuple(row[key] for key in keys) == at)["top1"])

    right, wrong = top1("as published", "fused"), top1("permuted", "fused")
    return (
        "published names and behaviour together, Top-1",
        f"{PUBLISHED}, 1,239 probes, 911 ImageNet names; label lists right / permuted",
        f"{right:.3f} / {wrong:.3f}",
        f"keyword: {top1('as published', 'keyword'):.3f} / {top1('permuted', 'keyword'):.3f}; "
        f"behaviour alone: {top1('permuted', 'behaviour'):.3f}",
        "`quality/names.py`",
        "Without the audit of label lists, permuted lists mislead: "
        f"{top1('permuted', 'fused, lists not audited'):.3f}",
    )


def _confidence() -> Row:
    world = read_result("quality_calibration")["published"]["2239 probes"]["absent"]
    told = world["outputs hidden"]["confidence"]
    before = read_result("quality_calibration_before")["published"]["2239 probes"]["absent"]
    before = before["outputs hidden"]["confidence"]
    named, bare = "confidence, believed labels too", "confidence"
    now, old = (each[named]["ten hits"]["calibration_error"] for each in (told, before))
    worst = told[bare]["ten hits"]["worst_gap_of_30"]
    return (
        "confidence, calibration error in points",
        f"{PUBLISHED}, 2,239 probes, each concept with and without its outputs, ten hits a query",
        f"{100 * now:.1f}",
        f"fitted on the 300 heads alone: {100 * old:.1f}",
        "`calibration/measure.py`",
        f"By behaviour alone the worst decile is {100 * worst:.0f} points too sure: mostly twins "
        "of a hidden class",
    )


def _describe() -> Row:
    found = read_result("quality_naming")["by_probes"]["2239"]["describe"]
    ours = [rules["describe"]["top1"] for rules in found.values()]
    paper = [rules["paper's rule in reverse"]["top1"] for rules in found.values()]
    return (
        "names for anonymous outputs, Top-1",
        "two published ImageNet models, 2,239 probes, 1,000 names",
        " and ".join(f"{value:.3f}" for value in sorted(ours)),
        "ProbeLog's rule in reverse: " + " and ".join(f"{value:.3f}" for value in sorted(paper)),
        "`quality/naming.py`",
        "Confidence is too low here, and too high for narrow models that look like no probe",
    )


def _captions() -> Row:
    rows = read_result("quality_classify")["stores"]["photos and coco-val2017.txt"]["mean_of_five"]
    at = {row["mode"]: row for row in rows if row.get("k") in (16, None)}
    ours, paper = at["guarded"]["difference_to_image_only"], at["paper"]["difference_to_image_only"]
    low, high = ours["ci95"]
    return (
        "zero-shot with captions, points over the image alone",
        "mean of five labelled sets, 1,239 captioned photos and 25,014 texts, K = 16",
        f"{100 * ours['value']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})",
        f"X-MoRe's rule: {100 * paper['value']:+.2f}",
        "`quality/classify.py`",
        "A vote of the captions earns nothing beside the prior and moved prompts, with any store, "
        "and was removed",
    )


def _specialists() -> Row:
    sets = read_result("quality_specialists")["sets"]
    named = {name: sets[name]["rows"]["with names"]["acc1"] for name in ("cifar10", "flowers5")}
    only = {name: sets[name]["rows"]["image-only"]["acc1"] for name in named}
    bare = sets["flowers5"]["rows"]["behaviour only"]["acc1"]
    return (
        "classification with models of a hub, accuracy",
        f"cifar10 / flowers5, {PUBLISHED}, at most 3 asked",
        " / ".join(f"{value:.3f}" for value in named.values()),
        "image alone: " + " / ".join(f"{value:.3f}" for value in only.values()),
        "`quality/specialists.py`",
        f"Without names flowers5 has {bare:.3f}: the encoder takes tulips for roses everywhere, so "
        "behaviour cannot tell them apart",
    )


def _completion() -> Row:
    result = read_result("quality_probing")
    spread = {row["probes"]: row for row in result["mini"]["spread"]["rows"]}[120]
    plain = {row["probes"]: row for row in result["mini"]["random"]["rows"]}[120]
    als = {row["probes"]: row for row in result["baselines"]}[120]
    key = next(name for name in als if "als" in name and "default" in name)
    return (
        "a twentieth of the probes a model, Top-1",
        f"{HEADS}, 120 of 2,239 probes each, 200 class names",
        f"{spread['guarded']['top1']:.3f}",
        f"the same 120 for all: {spread['fixed']['top1']:.3f}. On random probes masked ALS has "
        f"{als[key]:.3f}, ours {plain['completed']['top1']:.3f}",
        "`quality/probing.py`",
        "The 22 published models have too little in common: the guard uses no completed answer",
    )


def _speed() -> Row:
    query, scan = read_result("speed_query"), read_result("speed_search")
    judged = query["rows"]["default rule, judged"]
    return (
        "time of a text query, ms",
        "1,000,000 logits, 2,000 probes, 2 cores",
        f"{query['rows']['default rule']['ms']:.1f} ({judged['ms']:.1f} with confidence)",
        f"a plain scan, model by model: {scan['row_major_ms']:.0f}",
        "`speed/query.py`",
        f"It takes {query['times_the_bare_scan']['default rule']:.1f} bare scans; the bar was 2. "
        "A bound on the memory of a search costs a quarter of it",
    )


def _references() -> Row:
    result = read_result("quality_references")
    worlds = result["one reference"].values()
    found = {
        kind: {
            way: [world[kind][way]["odd"] for world in worlds] for way in ("taught", "behaviour")
        }
        for kind in ("imagenet", "common")
    }

    def listed(way: str) -> str:
        texts = (" / ".join(f"{x:.3f}" for x in found[kind][way]) for kind in found)
        return "; common words ".join(texts)

    texts = result["texts"]["one reference"]
    error = max(world["imagenet"]["taught"]["calibration_error"] for world in worlds)
    return (
        "search through the labels of one other model, Top-1",
        f"{PUBLISHED}, 1,239 probes, odd half of {texts} ImageNet names; either of two ImageNet "
        "networks of one publisher labelled, no other label read",
        listed("taught"),
        f"behaviour alone: {listed('behaviour')}",
        "`quality/references.py`",
        "A label of near meaning leads to its own twin, which is the wrong output. Confidence is "
        f"{100 * error:.0f} points off where the way through a label is right",
    )


def _backbones() -> Row:
    result = read_result("quality_references")["mini-hub"]
    worlds = [row for name, row in result.items() if name.startswith("a tenth, all on")]
    few = [row for name, row in result.items() if name.startswith("across")]
    found = {
        way: " / ".join(f"{world[way]:.3f}" for world in worlds) for way in ("taught", "behaviour")
    }
    heads, texts = worlds[0]["heads_labelled"], worlds[0]["texts"]
    return (
        "the same on other backbones, Top-1",
        f"300 ImageNet heads on three backbones, 2,239 probes, {texts} class names; {heads} heads "
        "of one backbone labelled, those of the other two asked for",
        found["taught"],
        f"behaviour alone: {found['behaviour']}",
        "`quality/references.py`",
        f"With only {min(r['heads_labelled'] for r in few)} to "
        f"{max(r['heads_labelled'] for r in few)} heads labelled "
        f"{min(r['taught'] for r in few):.3f} to {max(r['taught'] for r in few):.3f}: of some "
        "names no labelled head has an output",
    )


def _checkpoints() -> Row:
    found = read_result("quality_checkpoints")
    return (
        "checkpoints of torch, recognized and equal to torch",
        f"{found['checkpoints']} files in {found['styles']} styles of "
        f"{found['architectures']} architectures, random weights",
        f"{found['recognized']} and {found['equal']}",
        "none was read before",
        "`quality/checkpoints.py`",
        "Networks of one's own are named as unknown; so is a ResNet with another first layer: its "
        "stride is not in the file",
    )


def _first_hour() -> Row:
    found = read_result("speed_first_hour")
    install = found["steps"][:2]
    packages = sum(step["processor_seconds"] for step in install)
    return (
        "from an empty environment to the first hit: commands, processor seconds, MB",
        f"a wheel, a stub of the Hugging Face Hub, {PUBLISHED}, 239 probes, 2 cores",
        f"{len(found['steps'])} ({found['commands_before_the_search']} between install and "
        f"search), {found['processor_seconds']:.0f}, {found['bytes'] / 1e6:.0f}",
        f"environment and {found['packages']} packages alone: {len(install)}, {packages:.0f}, "
        f"{install[1]['bytes'] / 1e6:.0f}; before, encoder and probes had to be found by hand",
        "`speed/first_hour.py`",
        "The default encoder and dataset were never reached from here: a small encoder and 239 "
        f"photos stand in. At a load of {found['load']:.0f} the clock said {found['seconds']:.0f} "
        "s, which says little",
    )


def _none_of_these() -> Row:
    found = read_result("quality_none_of_these")
    softmax, mcm, _, _, asked, hub = (row["auroc"] for row in found["rows"].values())
    errors = found["rows"]["asked together, curve of the store"]["calibration_error"]
    right = found["suggestions_among_five"]["with captions"]
    rest = [
        sum(value for name, value in row.items() if name not in ("mean", "cats-dogs")) / 4
        for row in (mcm, asked)
    ]
    return (
        "none of the labels fits, AUROC; the label left out among five suggestions",
        "mean of five labelled sets, half of the labels left out; imagenet100x5 / cats-dogs",
        f"{asked['mean']:.3f}, with a hub {hub['mean']:.3f}; {right['imagenet100x5']:.3f} / "
        f"{right['cats-dogs']:.3f}",
        f"maximum softmax probability: {softmax['mean']:.3f}; MCM: {mcm['mean']:.3f}",
        "`quality/none_of_these.py`",
        f"Without cats-dogs, where one label is left, the gain over MCM is "
        f"{100 * (rest[1] - rest[0]):.1f} points. The calibration error within a set is "
        f"{errors['mean']:.2f}",
    )


TABLES = (summary,)
