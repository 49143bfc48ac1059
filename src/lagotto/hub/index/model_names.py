"""A hub's catalogue comes in; the names of models by their digests, and back, go out, as asked."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from lagotto.core.errors import HubError
from lagotto.hub.store.catalog import Catalog

_ONE_BY_ONE = 256
"""Names that are looked up one by one; after so many all are read at once."""


class ModelNames(Mapping[str, str]):
    """The name of each probed model of a hub, by its behaviour digest.

    A search asks for the names of its hits. They are those that the hub has when they are first
    asked for. A digest that the catalogue lost is a HubError.

    Args:
        catalogue: The path of the hub's catalogue.
    """

    def __init__(self, catalogue: Path) -> None:
        self._catalogue = catalogue
        self._found: dict[str, str] = {}
        self._all = cache(self._read_all)
        self._digests = cache(lambda: {name: digest for digest, name in self._all().items()})
        self._digest_found: dict[str, str | None] = {}

    def __getitem__(self, digest: str) -> str:
        if digest not in self._found:
            many = len(self._found) >= _ONE_BY_ONE
            name = self._all().get(digest) if many else self._look_up("name", "digest", digest)
            if name is None:
                raise HubError(
                    f"{self._catalogue} has no model {digest} any more, and the hub's files have; "
                    f"run: lagotto hub verify {self._catalogue.parent}"
                )
            self._found[digest] = name
        return self._found[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def digest_of(self, name: str) -> str | None:
        """The digest of the model of a name; None if there is none."""
        if name not in self._digest_found:
            if len(self._digest_found) >= _ONE_BY_ONE:
                return self._digests().get(name)
            self._digest_found[name] = self._look_up("digest", "name", name)
        return self._digest_found[name]

    def _look_up(self, wanted: str, key: str, value: str) -> str | None:
        query = f"SELECT {wanted} FROM models WHERE {key} = ? AND status = 'done'"
        with Catalog(self._catalogue) as catalogue:
            rows = catalogue.run(query, (value,))
        return str(rows[0][0]) if rows else None

    def _read_all(self) -> dict[str, str]:
        with Catalog(self._catalogue) as catalogue:
            return dict(catalogue.run("SELECT digest, name FROM models WHERE status = 'done'"))


def digest_of(names: Mapping[str, str], name: str) -> str | None:
    """The digest of the model of a name, where `names` is by digest; None if there is none."""
    if isinstance(names, ModelNames):
        return names.digest_of(name)
    return next((digest for digest, known in names.items() if known == name), None)
