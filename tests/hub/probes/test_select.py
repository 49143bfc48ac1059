"""Choosing probes among candidates: seeded, by content, around what cannot be decoded."""

import io
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lagotto.core.errors import PictureError, ProbeError, UsageError
from lagotto.hub.probes.select import (
    ProbeCandidate,
    SampledProbes,
    sample_probes,
)


@cache
def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 99)).save(file, "PNG")
    return file.getvalue()


def candidate(number: int, source: str | None = None, *captions: str) -> ProbeCandidate:
    return ProbeCandidate(source or f"{number:03d}.png", lambda: picture(number), captions)


def broken(source: str) -> ProbeCandidate:
    def load() -> bytes:
        raise PictureError("torn")

    return ProbeCandidate(source, load)


def choose(
    candidates: list[ProbeCandidate], max_probes: int | None = None, seed: int = 0
) -> SampledProbes:
    kept: dict[str, bytes] = {}

    def keep(digest: str, data: bytes) -> None:
        assert digest not in kept, "kept twice"
        kept[digest] = data

    chosen = sample_probes(candidates, max_probes, seed, keep)
    assert set(kept) == {probe.digest for probe in chosen.probes}
    return chosen


def sources(selection: SampledProbes) -> list[str]:
    return [probe.source for probe in selection.probes]


def test_without_a_limit_all_are_kept_in_order() -> None:
    numbers = [5, 3, 9, 1]
    assert sources(choose([candidate(n) for n in numbers])) == [f"{n:03d}.png" for n in numbers]


def test_identical_pictures_fold_to_the_first_with_all_captions() -> None:
    chosen = choose(
        [
            candidate(1, "a", "dog"),
            candidate(2, "b", "cat"),
            candidate(1, "c", "hound", "dog"),
            candidate(1, "d", "beagle"),
        ]
    )
    assert [(p.source, p.captions) for p in chosen.probes] == [
        ("a", ("dog", "hound", "beagle")),
        ("b", ("cat",)),
    ]
    assert [(s.source, s.reason) for s in chosen.skipped] == [
        ("c", "the same picture as a"),
        ("d", "the same picture as a"),
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(2, 50), st.integers(), st.sets(st.integers(0, 39)))
def test_a_sample_is_deterministic_ordered_and_full(
    count: int, limit: int, seed: int, torn: set[int]
) -> None:
    candidates = [
        broken(f"{n:03d}.png") if n in torn else candidate(n % 35, f"{n:03d}.png")
        for n in range(count)
    ]
    usable = len({n % 35 for n in range(count) if n not in torn})
    if usable < 2:
        with pytest.raises(ProbeError):
            choose(candidates, limit, seed)
        return
    chosen = choose(candidates, limit, seed)
    assert chosen == choose(candidates, limit, seed)
    assert sources(chosen) == sorted(sources(chosen))
    assert len(chosen.probes) == min(limit, usable)
    assert {s.source for s in chosen.skipped if s.reason == "torn"} <= {
        f"{n:03d}.png" for n in torn
    }


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_a_larger_limit_keeps_the_smaller_sample(seed: int) -> None:
    candidates = [broken(str(n)) if n % 5 == 0 else candidate(n, str(n)) for n in range(40)]
    few, many = (set(sources(choose(candidates, limit, seed))) for limit in (6, 15))
    assert few < many


GOLDEN_SAMPLE = ["015.png", "044.png", "046.png", "087.png", "099.png"]


def test_seeds_differ_and_are_the_same_on_every_machine() -> None:
    candidates = [candidate(n) for n in range(100)]
    assert sources(choose(candidates, 5, seed=0)) == GOLDEN_SAMPLE
    assert sources(choose(candidates, 5, seed=1)) != GOLDEN_SAMPLE


def test_each_place_is_about_equally_likely() -> None:
    candidates = [candidate(n) for n in range(10)]
    times = dict.fromkeys(sources(choose(candidates)), 0)
    for seed in range(300):
        for source in sources(choose(candidates, 3, seed)):
            times[source] += 1
    assert all(60 < number < 120 for number in times.values())


def test_only_what_is_needed_is_loaded() -> None:
    loaded: list[int] = []

    def zscore(number: int) -> ProbeCandidate:
        def load() -> bytes:
            loaded.append(number)
            return picture(number)

        return ProbeCandidate(str(number), load)

    choose([zscore(n) for n in range(200)], 7, seed=3)
    assert len(loaded) == 7
    assert loaded == sorted(loaded)


def test_undecodable_are_set_aside_in_order() -> None:
    numbers = list(range(20))
    random.Random(0).shuffle(numbers)
    chosen = choose([broken("x"), *(candidate(n) for n in numbers), broken("y")])
    assert [each.source for each in chosen.skipped] == ["x", "y"]


def test_too_few_gives_the_first_three_reasons() -> None:
    with pytest.raises(ProbeError) as caught:
        choose([broken(name) for name in "abcd"])
    assert str(caught.value) == (
        "of 4 pictures none can be used as a probe (a: torn; b: torn; c: torn); "
        "give at least 2 different pictures"
    )
    with pytest.raises(ProbeError, match="of 3 pictures only 1 can be used"):
        choose([candidate(1, "a"), candidate(1, "b"), broken("c")])
    with pytest.raises(UsageError, match="max probes 1 is too few; give at least 2"):
        choose([candidate(1), candidate(2)], 1)
