"""Tables of zero-shot classification."""

from typing import Any

from tables.form import read_result, table

ONLY = "image-only"


def demo_naming() -> str:
    """Zero-shot classification of the bundled held-out pictures."""
    rows = [
        [
            score["kind"],
            str(score["pictures"]),
            *(f"{score[mode]:.3f}" for mode in ("image_only", "paper", "guarded")),
        ]
        for score in read_result("quality_demo")["naming"]
    ]
    columns = ["how the encoder met the concept", "pictures", "image-only", "paper", "guarded"]
    return table(columns, rows)


def _at(rows: list[dict[str, Any]], mode: str, k: int) -> dict[str, Any]:
    """The row of a setting; image-only has no K."""
    return next(row for row in rows if row["mode"] == mode and (mode == ONLY or row["k"] == k))


def _gain(row: dict[str, Any]) -> str:
    gain = row["difference_to_image_only"]
    low, high = gain["ci95"]
    return f"{100 * gain['value']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _sets_table(name: str) -> str:
    store = read_result("quality_classify")["stores"][name]
    sets = store["sets"]
    rows = []
    for mode in (ONLY, "captions-only", "paper", "paper-code", "guarded"):
        mean = _at(store["mean_of_five"], mode, 16)
        scores = [f"{_at(each['rows'], mode, 16)['metrics']['acc1']:.3f}" for each in sets.values()]
        worst = f"{100 * mean['worst_set_difference']:+.1f}"
        rows.append([mode, *scores, *(["", ""] if mode == ONLY else [_gain(mean), worst])])
    rows.append(["oracle", *(f"{each['oracle']['16']:.3f}" for each in sets.values()), "", ""])
    columns = ["K = 16", *sets, "mean of five, points (95 %)", "worst set"]
    return table(columns, rows)


def classify_photos() -> str:
    """Five sets, store of captioned photos."""
    return _sets_table("photos")


def classify_texts() -> str:
    """Five sets, the same store with captions that have no pictures."""
    return _sets_table("photos and coco-val2017.txt")


def classify_k() -> str:
    """Mean gain and worst set over K."""
    stores = read_result("quality_classify")["stores"]
    ks = (2, 4, 8, 16, 32, 64)
    rows = []
    for name, store in stores.items():
        for mode in ("paper", "guarded"):
            found = [_at(store["mean_of_five"], mode, k) for k in ks]
            cells = [
                f"{100 * row['difference_to_image_only']['value']:+.1f} / "
                f"{100 * row['worst_set_difference']:+.1f}"
                for row in found
            ]
            rows.append([name, mode, *cells])
    return table(["store", "mean gain / worst set", *(f"K = {k}" for k in ks)], rows)


def caption_votes() -> str:
    """What parts of the rule and votes of captions add to the base, by store."""
    stores = read_result("quality_caption_votes")["stores"]
    titles = {"photos": "1,239 photos", "both": "photos and 24,794 texts", "texts": "texts alone"}
    kinds = dict.fromkeys(kind for store in stores.values() for kind in store["rows"])
    rows = [
        [kind, *(_halves(stores[name]["rows"].get(kind)) for name in titles)]
        for kind in kinds
        if kind != "base"
    ]
    sizes = stores["texts"]["moved_prompts_by_size"]
    told = "; ".join(
        f"{int(size):,} texts {row['chosen_half']:+.2f} / {row['reported_half']:+.2f}"
        for size, row in sizes.items()
    )
    shown = table(["points, even half / odd half (95 %)", *titles.values()], rows)
    return f"{shown}\n\nMoved prompts with samples of the texts, mean of three: {told}."


def _halves(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    halves = f"{row['chosen_half']:+.2f} / {row['reported_half']:+.2f}"
    low, high = row.get("reported_ci95", (None, None))
    return halves if low is None else f"{halves} ({low:+.2f} to {high:+.2f})"


def classify_speed() -> str:
    """The cost of captions."""
    found = read_result("speed_classify")
    found |= found["large_store"]
    names = ["ratio_to_image_only", "speedup_vs_on_the_fly", "memory_mb", "stated_memory_mb"]
    return table([f"`{name}`" for name in names], [[str(found[name]) for name in names]])


TABLES = (
    demo_naming,
    classify_photos,
    classify_texts,
    classify_k,
    caption_votes,
    classify_speed,
)
