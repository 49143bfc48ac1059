"""Addresses: what a page shows is written as a link, and read back the same."""

import ast
import shlex
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from lagotto.web.options import ClientLimits
from lagotto.web.pages.fields import read_address, read_number, split_label_lines
from lagotto.web.problems import Problem
from lagotto.web.views.addresses import (
    SearchAddress,
    command_line_of,
    compare_href,
    model_href,
    output_href,
    python_of,
)

DIGEST = "sha256:" + "ab" * 32
LIMITS = ClientLimits()


def request_of(href: str) -> Request:
    parts = urlsplit(href)
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": parts.path,
            "headers": [],
            "query_string": parts.query.encode(),
        }
    )


words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=40
)


@given(
    words=words,
    probe=st.none() | st.integers(0, 10**6),
    by_model=st.booleans(),
    only=st.booleans(),
    top=st.integers(1, 200),
)
def test_a_search_is_read_back_from_its_address(
    words: str, probe: int | None, by_model: bool, only: bool, top: int
) -> None:
    address = SearchAddress(words, "", probe, (DIGEST,), by_model, only, top)

    assert read_address(request_of(address.href()), LIMITS) == address


def test_an_output_is_read_back_from_its_address() -> None:
    address = SearchAddress(like="a model/of:3:7")

    assert read_address(request_of(address.href()), LIMITS) == address


def test_nothing_asked_is_the_plain_address() -> None:
    assert SearchAddress().href() == "/"
    assert SearchAddress().is_empty
    assert not SearchAddress(probe=0).is_empty


def test_names_are_quoted_in_addresses() -> None:
    assert model_href("a/b c?") == "/m/a%2Fb%20c%3F"
    assert output_href("a#b", 3) == "/m/a%23b/3"
    pairs = dict(parse_qsl(urlsplit(compare_href(("a&b", 1), ("c=d", 2))).query))
    assert pairs == {"a": "a&b:1", "b": "c=d:2"}


@pytest.mark.parametrize("given_words", ["dog", "dog AND NOT 'wolf'", "$(rm -rf /)", "-x", "a;b"])
def test_a_command_keeps_its_words_in_one_argument(given_words: str) -> None:
    parts = shlex.split(command_line_of("my hub", SearchAddress(words=given_words, top=5)))

    assert parts[:2] == ["lagotto", "search"]
    assert "my hub" in parts
    assert given_words in parts
    if given_words.startswith("-"):
        assert parts[-2:] == ["--", given_words]


def test_a_command_of_an_output_and_of_pictures() -> None:
    assert command_line_of("hub", SearchAddress(like="m:7")) == (
        "lagotto search hub --logit m:7 --top 20"
    )
    address = SearchAddress(probe=3, pictures=(DIGEST,), by_model=True, behaviour_only=True)
    assert command_line_of("hub", address) == (
        "lagotto search hub --image probe-3.webp --image abababababab.webp --top 20 --by-model "
        "--behaviour-only"
    )


@pytest.mark.parametrize(
    "address",
    [
        SearchAddress(words='say "hi"\n'),
        SearchAddress(like="it's:7"),
        SearchAddress(words="dog", pictures=(DIGEST,)),
        SearchAddress(probe=3, by_model=True, behaviour_only=True),
    ],
)
def test_the_python_of_a_search_is_python(address: SearchAddress) -> None:
    tree = ast.parse(python_of("my-hub", address))

    assert isinstance(tree.body[-1], ast.Assign)


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "9" * 18, "²", "0x3", "0" * 5000 + "5"])
def test_a_number_of_another_form_is_refused_by_name(text: str) -> None:
    with pytest.raises(Problem, match=r"top is .*; give a whole number, 1 to 200"):
        read_number(text, "top", 20, 1, 200)


def test_labels_are_read_with_commas_or_one_a_line_and_never_from_a_file() -> None:
    assert split_label_lines("cat, dog\nhorse,,cat", LIMITS) == ("cat", "dog", "horse")
    assert split_label_lines("/etc/hostname", LIMITS) == ("/etc/hostname",)
    with pytest.raises(Problem, match="no labels given"):
        split_label_lines(" ,\n", LIMITS)
    with pytest.raises(Problem, match="1000 at most"):
        split_label_lines(",".join(map(str, range(1001))), LIMITS)
