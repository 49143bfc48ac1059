"""Names of models are read from the catalogue as they are asked for."""

from pathlib import Path

import pytest

from lagotto.core.errors import HubError
from lagotto.hub.index import model_names
from lagotto.hub.index.model_names import ModelNames
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import Listing


@pytest.mark.parametrize("one_by_one", [0, 256])
def test_a_model_that_the_catalogue_lost_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_by_one: int
) -> None:
    monkeypatch.setattr(model_names, "_ONE_BY_ONE", one_by_one)
    with Catalog(tmp_path / "catalogue.sqlite", writable=True) as catalogue:
        catalogue.plan([Listing("d1", "plain", "there")])
        catalogue.run("UPDATE models SET status = 'done'")
    names = ModelNames(tmp_path / "catalogue.sqlite")
    assert names["d1"] == "plain"
    assert (names.digest_of("plain"), names.digest_of("other")) == ("d1", None)
    with pytest.raises(HubError, match=r"has no model d2 any more.* hub verify"):
        names["d2"]
