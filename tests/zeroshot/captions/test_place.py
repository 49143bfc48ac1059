"""Where a store lies, as users write it: folders, addresses, and no password in anything shown."""

from pathlib import Path

import pytest

from lagotto.core.errors import UsageError
from lagotto.zeroshot.captions.place import ServerAddress, server_address, store_place


def test_folders_stay_folders() -> None:
    assert store_place("my-captions/") == Path("my-captions")
    assert store_place(Path("a")) == Path("a")
    with pytest.raises(UsageError, match="give one path"):
        store_place("")


SHOWN = {
    "postgresql://db/pictures": "postgresql://db/pictures",
    "postgres://me@db:5433/p?store=b": "postgresql://me@db:5433/p?store=b",
    "postgresql://me:s3cret@db/p": "postgresql://me@db/p",
    "postgresql://me:a%40b%2Fc@[::1]:1/p?store=X-1": "postgresql://me@[::1]:1/p?store=X-1",
    "postgresql:///p?host=/run/pg&password=s3cret": "postgresql:///p?host=/run/pg",
    "postgresql:///?service=lab&store=b": "postgresql:///?service=lab&store=b",
    "postgresql://a:s3cret@h1:1,h2:2/p?sslmode=require": "postgresql://a@h1:1,h2:2/p",
}


@pytest.mark.parametrize("given", SHOWN)
def test_addresses(given: str) -> None:
    place, shown = store_place(given), SHOWN[given]
    assert isinstance(place, ServerAddress)
    assert str(place) == shown
    assert place.store == (shown.partition("store=")[2] or "captions")
    assert "store=" not in place.connection
    for secret in ("s3cret", "a%40b", "a@b"):
        assert secret not in f"{place} {place!r}"
    assert server_address(shown).shown == shown
    assert store_place(place) is place


def test_the_client_library_gets_the_password_and_the_other_options() -> None:
    place = server_address(
        "postgresql://me:a%40b@db/p?sslmode=require&store=x&options=-c%20a%3Db+c"
    )
    assert place.connection == "postgresql://me:a%40b@db/p?sslmode=require&options=-c%20a%3Db%2Bc"
    assert place.password == "a@b"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:s3c/ret@db/p",
        "postgresql://me:s3c#ret@db/p",
        "postgresql://me:s3c@ret@db/p",
        "postgresql://me:s3c?ret@db/p@x",
        "postgresql://me:53?s3c=ret@db/p",
    ],
)
def test_an_address_that_cannot_be_read_is_not_repeated(address: str) -> None:
    with pytest.raises(UsageError, match="cannot be read; it is not repeated") as error:
        store_place(address)
    assert "s3c" not in str(error.value)
    assert "ret" not in str(error.value).replace("secret", "")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["", "a b", 'x"; DROP SCHEMA public', "-a", "a" * 41, "ü"])
def test_names_of_stores_are_plain(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a store"):
        server_address(f"postgresql://db/p?store={name}")


def test_an_address_as_a_path_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="given as a Path, which drops a slash"):
        store_place(Path("postgresql://me@db/p"))
