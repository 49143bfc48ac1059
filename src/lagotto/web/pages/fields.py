"""The fields of an address come in, as anybody wrote them; checked values go out."""

from fastapi import Request

from lagotto.hub.search.options import SearchOptions
from lagotto.web.api.parameters import split_labels
from lagotto.web.options import ClientLimits
from lagotto.web.problems import Problem
from lagotto.web.queries import SearchRequest
from lagotto.web.views.addresses import DEFAULT_TOP, SearchAddress


def read_address(request: Request, limits: ClientLimits) -> SearchAddress:
    """The search that an address says; raises Problem (400) for a field of another form."""
    fields = request.query_params
    words = fields.get("q", "").strip()
    if len(words) > limits.query_characters:
        most = limits.query_characters
        raise Problem(400, f"q has {len(words)} characters; at most {most} are taken")
    pictures = tuple(dict.fromkeys(fields.getlist("img")))[: limits.pictures]
    return SearchAddress(
        words=words,
        like=fields.get("like", "").strip()[:500],
        probe=read_number(fields.get("probe"), "probe", None),
        pictures=tuple(digest[:80] for digest in pictures),
        by_model=fields.get("by") == "model",
        behaviour_only=fields.get("behaviour_only") in ("true", "1", "on"),
        top=read_number(fields.get("top"), "top", DEFAULT_TOP, 1, limits.top) or DEFAULT_TOP,
    )


def read_number(
    given: str | None, name: str, default: int | None, least: int = 0, most: int = 10**9
) -> int | None:
    """A whole number of an address; raises Problem (400) for anything else."""
    if given is None or given == "":
        return default
    is_number = given.isascii() and given.isdecimal() and len(given) <= len(str(most))
    if not is_number or not least <= int(given) <= most:
        raise Problem(400, f"{name} is {given[:40]!r}; give a whole number, {least} to {most}")
    return int(given)


def search_request(address: SearchAddress) -> SearchRequest:
    """The question of an address."""
    options = SearchOptions(
        top=address.top, by_model=address.by_model, behaviour_only=address.behaviour_only
    )
    return SearchRequest(address.words, address.like, address.probe, address.pictures, options)


def split_label_lines(text: str, limits: ClientLimits) -> tuple[str, ...]:
    """The labels of a comma list, or one a line; raises Problem (400) for none or too many.

    No file is opened, whatever the text is.
    """
    labels = split_labels([",".join(text.splitlines())], limits)
    return tuple(dict.fromkeys(labels))
