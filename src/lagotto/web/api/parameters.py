"""Parameters as clients write them come in; typed values within the limits go out."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from fastapi import Depends, Form, Path, Query

from lagotto.hub.search.options import SearchOptions
from lagotto.web.options import ClientLimits
from lagotto.web.problems import Problem

_LIMITS = ClientLimits()
_INT = 2**31 - 1

RuleWord: TypeAlias = Literal["default", "paper", "full-query"]

Words = Annotated[
    str,
    Query(
        max_length=_LIMITS.query_characters,
        description="Words, joined by AND, OR, NOT and parentheses.",
        examples=["dog AND NOT wolf"],
    ),
]
Like = Annotated[
    str, Query(max_length=_LIMITS.query_characters, description="An output, MODEL:NUMBER.")
]
ExampleProbe = Annotated[
    int | None, Query(ge=0, le=_INT, description="The number of a probe, as an example picture.")
]
UploadDigests = Annotated[
    list[str],
    Query(
        default_factory=list,
        max_length=_LIMITS.pictures,
        description="Digests of uploaded pictures, sha256:...",
    ),
]
Top = Annotated[int, Query(ge=1, le=_LIMITS.top, description="How many, at most.")]
Deciding = Annotated[
    int | None, Query(ge=1, le=_INT, description="How many probes decide; by default 50.")
]
By = Annotated[
    Literal["logit", "model"], Query(description="Every output, or only the best of each model.")
]
ModelName = Annotated[str, Path(max_length=1000, description="The name of a model of the hub.")]
Output = Annotated[int, Path(ge=0, le=_INT, description="The number of an output, from 0.")]
Number = Annotated[int, Path(ge=0, le=_INT, description="The number of a probe, from 0.")]
Cursor = Annotated[
    str, Query(max_length=2000, description="Where to go on: the `next` of the page before.")
]
PageSize = Annotated[int, Query(ge=1, le=200, description="How many a page.")]
Edge = Annotated[int, Query(ge=16, le=640, description="Pixels of the longest side, at most.")]
Labels = Annotated[
    list[str],
    Query(
        min_length=1,
        max_length=_LIMITS.labels,
        description="Names, each once; one parameter a name, or one with commas.",
    ),
]
FormLabels = Annotated[
    list[str],
    Form(
        min_length=1,
        max_length=_LIMITS.labels,
        description="Names, each once; one field a name, or one with commas.",
    ),
]


def split_labels(given: list[str], limits: ClientLimits) -> list[str]:
    """The names of a list in which one item may be a comma list; never the name of a file.

    Raises:
        Problem: 400 for no name, or too many, or one that is too long.
    """
    parts = given[0].split(",") if len(given) == 1 else given
    names = [part.strip() for part in parts if part.strip()]
    if not names:
        raise Problem(400, "no labels given; give names, for example labels=cat,dog")
    if len(names) > limits.labels:
        raise Problem(400, f"{len(names)} labels given; give {limits.labels} at most")
    longest = max(len(name) for name in names)
    if longest > limits.query_characters:
        raise Problem(
            400, f"a label of {longest} characters given; give {limits.query_characters} at most"
        )
    return names


@dataclass(frozen=True, slots=True)
class Switches:
    """The less usual options of a search; see `SearchOptions`."""

    behaviour_only: bool
    references: bool | None
    with_references: bool
    low_rank: bool | None


def switches(
    behaviour_only: bool = False,
    references: bool | None = None,
    with_references: bool = False,
    low_rank: bool | None = None,
) -> Switches:
    """The less usual options of a search, from the parameters of an address."""
    return Switches(behaviour_only, references, with_references, low_rank)


def search_options(
    less_usual: Annotated[Switches, Depends(switches)],
    top: Top = 10,
    k: Deciding = None,
    by: By = "logit",
    rule: RuleWord = "default",
) -> SearchOptions:
    """The options of a search, from the parameters of an address."""
    return SearchOptions(
        top=top,
        k=k,
        by_model=by == "model",
        rule=rule,
        behaviour_only=less_usual.behaviour_only,
        low_rank=less_usual.low_rank,
        references=less_usual.references,
        with_references=less_usual.with_references,
    )


Options = Annotated[SearchOptions, Depends(search_options)]
