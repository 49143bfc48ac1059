"""Specs of remote sources: understood, or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import UsageError
from lagotto.core.remote.spec import (
    MlflowSpec,
    RepositorySpec,
    SearchSpec,
    is_remote,
    parse_registered,
    parse_repository,
    parse_search,
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hf:org/name", RepositorySpec("org/name")),
        ("hf:gpt2", RepositorySpec("gpt2")),
        ("hf:org/na.me-1_x@refs/pr/3", RepositorySpec("org/na.me-1_x", "refs/pr/3")),
        ("timm:resnet18.a1_in1k", RepositorySpec("timm/resnet18.a1_in1k")),
    ],
)
def test_a_repository(spec: str, expected: RepositorySpec) -> None:
    assert parse_repository(spec) == expected
    assert parse_repository(str(expected)) == expected


def test_a_commit_is_pinned_and_a_branch_is_not() -> None:
    assert RepositorySpec("a/b", "0" * 40).is_pinned
    assert not RepositorySpec("a/b", "main").is_pinned
    assert not RepositorySpec("a/b").is_pinned


@pytest.mark.parametrize(
    "spec", ["hf:", "hf:/x", "hf:a/b/c", "hf:../x", "hf:a/..", "hf:a/b@", "timm:org/x", "hf:-x/y"]
)
def test_what_names_no_repository_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="names no repository"):
        parse_repository(spec)


@given(st.text(max_size=12))
def test_no_text_is_a_path_out_of_its_place(text: str) -> None:
    try:
        name = parse_repository(f"hf:{text}").name
    except UsageError:
        return
    assert ".." not in name
    assert not name.startswith(("/", "."))
    assert "\\" not in name


def test_a_search_has_its_keys_and_defaults() -> None:
    assert parse_search("hf-search:author=x") == SearchSpec(author="x")
    full = parse_search("hf-search: task=t , author=a,search=s,library=l,limit=7")
    assert full == SearchSpec("t", "a", "s", "l", 7)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("hf-search:", "key=value"),
        ("hf-search:author", "key=value"),
        ("hf-search:author=", "key=value"),
        ("hf-search:autor=x", "Did you mean 'author'"),
        ("hf-search:author=x,author=y", "once at most"),
        ("hf-search:limit=0", "1 to 100000"),
        ("hf-search:limit=many", "1 to 100000"),
        ("hf-search:limit=" + "9" * 5000, "1 to 100000"),
    ],
)
def test_a_search_that_is_not_understood_is_refused(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_search(spec)


def test_what_is_remote() -> None:
    assert all(map(is_remote, ("hf:x", "hf-search:x", "timm:x")))
    assert not any(map(is_remote, ("models/hf:x", "x.onnx", "")))


@pytest.mark.parametrize("spec", ["mlflow:", "mlflow:a", "mlflow:a/0", "mlflow:a/b/1", "mlflow:@x"])
def test_what_names_no_version_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="names no version"):
        parse_registered(spec)


def test_a_registered_model_has_a_version_or_an_alias() -> None:
    assert parse_registered("mlflow:my birds/3") == MlflowSpec("my birds", "3")
    assert parse_registered("mlflow:birds@champion") == MlflowSpec("birds", alias="champion")
    assert str(parse_registered("mlflow:birds@champion")) == "mlflow:birds@champion"
