"""A hub and the address of a search come in; what the search page shows goes out."""

from dataclasses import dataclass

from lagotto.core.text.clean import shown
from lagotto.core.types import Hit, Hits
from lagotto.hub.confidence.calibrator import concept_note
from lagotto.hub.confidence.probe_coverage import coverage_note
from lagotto.hub.hub import Hub
from lagotto.web.views.addresses import (
    SearchAddress,
    command_line_of,
    compare_href,
    like_href,
    output_href,
    probe_image,
    python_of,
    upload_image,
)
from lagotto.web.views.marks import Belief, LabelMark, belief_of, label_mark
from lagotto.web.views.strips import ProbeTile, output_values, probe_tile, strip_tiles

_EXAMPLES = 8
_MOSAIC = 12
_FRAMED = 50
"""Deciding probes that get a frame, of the most weight: like an output, all decide a little."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A part of a query beside the words: its text, its picture if any, the address without it."""

    text: str
    image: str | None
    without: str


@dataclass(frozen=True, slots=True)
class HitCard:
    """One hit as the page shows it, with the ways on from it."""

    hit: Hit
    label: str | None
    mark: LabelMark | None
    through: str
    through_href: str
    tiles: tuple[ProbeTile, ...]
    open: str
    like: str
    compare: str | None
    command: str
    python: str
    json: str

    @property
    def name(self) -> str:
        """MODEL:INDEX."""
        return f"{self.hit.model}:{self.hit.logit}"


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The answer to a search as the page shows it."""

    title: str
    belief: Belief
    deciding: tuple[ProbeTile, ...]
    probes: int
    hits: tuple[HitCard, ...]
    notes: tuple[str, ...]
    elapsed_ms: float
    command: str
    python: str
    json: str
    map: str


@dataclass(frozen=True, slots=True)
class StartPage:
    """What a page without a query teaches: words to try, and probes to start from."""

    words: tuple[str, ...]
    probes: tuple[ProbeTile, ...]


def search_results(hub: Hub, hits: Hits, address: SearchAddress, hub_name: str) -> SearchResults:
    """The page of a search.

    Args:
        hub: The hub that was searched.
        hits: Its answer.
        address: What was asked.
        hub_name: The hub as a command names it.
    """
    reader = hub.reader
    deciding = frozenset(hits.deciding_probes[:_FRAMED])
    values = output_values(reader, [(hit.model, hit.logit) for hit in hits])
    trust = hub.label_trust
    first = (hits[0].model, hits[0].logit) if len(hits) else None
    cards = []
    for hit, column in zip(hits, values, strict=True):
        like = SearchAddress(like=f"{hit.model}:{hit.logit}")
        pair = (hit.model, hit.logit)
        way = hit.through
        cards.append(
            HitCard(
                hit=hit,
                label=None if hit.label is None else shown(hit.label, 120),
                mark=label_mark(trust, hit.model, hit.logit, hit.label),
                through="" if way is None else f"{way.model}:{way.logit} “{shown(way.label, 80)}”",
                through_href="" if way is None else output_href(way.model, way.logit),
                tiles=strip_tiles(reader, column, deciding),
                open=output_href(*pair),
                like=like_href(*pair),
                compare=None if first is None or pair == first else compare_href(first, pair),
                command=command_line_of(hub_name, like),
                python=python_of(hub_name, like),
                json=like.api_href(),
            )
        )
    return SearchResults(
        title=query_title(address),
        belief=belief_of(hits, address.words, address.pictures),
        deciding=tuple(
            probe_tile(reader, probe, decided=True) for probe in hits.deciding_probes[:_MOSAIC]
        ),
        probes=len(hits.deciding_probes),
        hits=tuple(cards),
        notes=tuple(shown(note) for note in hits.notes if note not in _said_above(hits)),
        elapsed_ms=1000 * (hits.elapsed_s or 0.0),
        command=command_line_of(hub_name, address),
        python=python_of(hub_name, address),
        json=address.api_href(),
        map=address.href("/map"),
    )


def _said_above(hits: Hits) -> tuple[str | None, ...]:
    """The notes whose matter the line above the hits says already."""
    text = str(hits.query.value)
    return (
        None if hits.presence is None else concept_note(text, hits.presence),
        None if hits.coverage is None else coverage_note(text, hits.coverage),
    )


def query_title(address: SearchAddress) -> str:
    """What was asked, in words."""
    parts = [f"“{shown(address.words, 80)}”"] if address.words else []
    parts += [f"like {shown(address.like, 80)}"] if address.like else []
    parts += [f"probe {address.probe}"] if address.probe is not None else []
    count = len(address.pictures)
    parts += [f"{count} picture{'s' if count > 1 else ''} of yours"] if count else []
    return " with ".join(parts)


def query_chips(address: SearchAddress, *, has_pictures: bool = True) -> tuple[Chip, ...]:
    """The chips of a query; that of a probe has its picture where the hub has pictures."""
    chips = []
    if address.like:
        without = address.changed(like="").href()
        chips.append(Chip(f"like {shown(address.like, 60)}", None, without))
    if address.probe is not None:
        image = probe_image(address.probe) if has_pictures else None
        chips.append(Chip(f"probe {address.probe}", image, address.changed(probe=None).href()))
    for digest in address.pictures:
        left = tuple(other for other in address.pictures if other != digest)
        without = address.changed(pictures=left).href()
        chips.append(Chip("your picture", upload_image(digest), without))
    return tuple(chips)


def start_page(hub: Hub) -> StartPage:
    """Words that some label of the hub says, and probes spread over the set."""
    reader = hub.reader
    labels = [text for text in reader.label_texts() if 2 < len(text) < 24 and "," not in text]
    step = max(1, len(labels) // _EXAMPLES)
    count = reader.probe_count
    spread = [number * count // _MOSAIC for number in range(min(_MOSAIC, count))]
    return StartPage(
        tuple(labels[::step][:_EXAMPLES]), tuple(probe_tile(reader, probe) for probe in spread)
    )
