"""What a page shows comes in; its address, the same state written as a link, goes out."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

DEFAULT_TOP = 20
_THUMBNAIL_EDGE = 160


@dataclass(frozen=True, slots=True)
class SearchAddress:
    """A search as its address says it.

    Attributes:
        words: A concept in words, or several joined by AND, OR and NOT.
        like: An output that the hits should be like, as MODEL:INDEX; "" for none.
        probe: The number of a probe that is an example picture.
        pictures: Digests of uploaded example pictures, as sha256:HEX.
        by_model: Only the best output of each model.
        behaviour_only: Published labels are not read.
        top: How many hits.
    """

    words: str = ""
    like: str = ""
    probe: int | None = None
    pictures: tuple[str, ...] = ()
    by_model: bool = False
    behaviour_only: bool = False
    top: int = DEFAULT_TOP

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.words or self.like or self.probe is not None or self.pictures)

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The fields of the address, those with their default value left out."""
        pairs = [("q", self.words)] if self.words else []
        pairs += [("like", self.like)] if self.like else []
        pairs += [] if self.probe is None else [("probe", str(self.probe))]
        pairs += [("img", digest) for digest in self.pictures]
        pairs += [("by", "model")] if self.by_model else []
        pairs += [("behaviour_only", "true")] if self.behaviour_only else []
        pairs += [("top", str(self.top))] if self.top != DEFAULT_TOP else []
        return pairs

    @property
    def kept_fields(self) -> list[tuple[str, str]]:
        """The fields that a form sends along beside its own: example pictures and the output."""
        return [pair for pair in self.fields if pair[0] in ("like", "probe", "img")]

    def href(self, page: str = "/") -> str:
        """The address of this search on a page."""
        return f"{page}?{urlencode(self.fields)}" if self.fields else page

    def api_href(self) -> str:
        """The address of the answer as JSON."""
        pairs = [pair for pair in self.fields if pair[0] != "top"]
        return f"/api/v1/search?{urlencode([*pairs, ('top', str(self.top))])}"

    def changed(self, **changes: Any) -> "SearchAddress":
        """The same search with other fields."""
        return replace(self, **changes)


def like_href(model: str, logit: int) -> str:
    """The search for outputs like one output."""
    return SearchAddress(like=f"{model}:{logit}").href()


def model_href(model: str) -> str:
    """The page of a model."""
    return f"/m/{quote(model, safe='')}"


def output_href(model: str, logit: int) -> str:
    """The page of an output."""
    return f"{model_href(model)}/{logit}"


def probe_href(probe: int) -> str:
    """The page of a probe."""
    return f"/p/{probe}"


def compare_href(first: tuple[str, int], second: tuple[str, int]) -> str:
    """The page that compares two outputs, each given as (model, logit)."""
    pair = {"a": f"{first[0]}:{first[1]}", "b": f"{second[0]}:{second[1]}"}
    return f"/compare?{urlencode(pair)}"


def probe_image(probe: int, edge: int = _THUMBNAIL_EDGE, probe_digest: str = "") -> str:
    """The address of a small picture of a probe.

    Args:
        probe: Its number.
        edge: Its longer edge in pixels.
        probe_digest: The identity of the probe set; with it a browser may keep the picture.
    """
    version = f"&v={probe_digest[:16]}" if probe_digest else ""
    return f"/api/v1/probes/{probe}.webp?edge={edge}{version}"


def upload_image(digest: str, edge: int = _THUMBNAIL_EDGE) -> str:
    """The address of a small picture of an uploaded picture, by its digest sha256:HEX."""
    return f"/api/v1/pictures/{quote(digest, safe=':')}.webp?edge={edge}"


def labels_href(page: str, labels: Sequence[str], pictures: Sequence[str] = ()) -> str:
    """A page that is asked about labels, with example pictures or none."""
    pairs = [("labels", ", ".join(labels)), *(("img", digest) for digest in pictures)]
    return f"{page}?{urlencode(pairs)}"


def command_line_of(hub: str, address: SearchAddress) -> str:
    """The same search on the command line; example pictures are files of whoever runs it."""
    options = ["--logit", address.like] if address.like else []
    for name in _picture_names(address):
        options += ["--image", name]
    options += ["--top", str(address.top)]
    options += ["--by-model"] if address.by_model else []
    options += ["--behaviour-only"] if address.behaviour_only else []
    if address.like or not address.words:
        return shlex.join(["lagotto", "search", hub, *options])
    if address.words.startswith("-"):
        return shlex.join(["lagotto", "search", *options, hub, "--", address.words])
    return shlex.join(["lagotto", "search", hub, address.words, *options])


def python_of(hub: str, address: SearchAddress) -> str:
    """The same search in Python."""
    names = _picture_names(address)
    imports = ["import lagotto"]
    if address.like:
        model, _, index = address.like.rpartition(":")
        imports.append("from lagotto.hub.query.types import LogitQuery")
        query = f"LogitQuery({model!r}, {index})"
    elif names and address.words:
        imports.append("from lagotto.hub.query.types import TextQuery")
        query = f"TextQuery({address.words!r}, pictures={names!r})"
    elif names:
        imports.append("from lagotto.hub.query.types import ImageQuery")
        query = f"ImageQuery({names!r})"
    else:
        query = repr(address.words)
    options = f", top={address.top}"
    options += ", by_model=True" if address.by_model else ""
    options += ", behaviour_only=True" if address.behaviour_only else ""
    return "\n".join([*imports, "", f"hits = lagotto.Hub.open({hub!r}).search({query}{options})"])


def _picture_names(address: SearchAddress) -> list[str]:
    """Names for the example pictures, as files that whoever runs a command has to have."""
    probes = [] if address.probe is None else [f"probe-{address.probe}.webp"]
    return [*probes, *(f"{each.partition(':')[2][:12]}.webp" for each in address.pictures)]
