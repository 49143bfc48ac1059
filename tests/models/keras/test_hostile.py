"""Hostile files of the Keras family are refused by name: nothing is run, followed or filled."""

from pathlib import Path

import pytest

from attack_keras import KERAS_ATTACKS
from attack_models import Place
from lagotto.core.errors import ModelError
from lagotto.core.types import ModelSource
from lagotto.models.registry import load_model

SECRET = b"the secret that no attack may read or change " * 9


@pytest.mark.parametrize("name", KERAS_ATTACKS)
def test_an_attack_is_refused_by_name(name: str, tmp_path: Path) -> None:
    attack = KERAS_ATTACKS[name]
    place = Place(tmp_path / "secret.bin", tmp_path / "marker")
    place.secret.write_bytes(SECRET)
    folder = tmp_path / "models" / name
    folder.mkdir(parents=True)
    attack.write(folder, place)
    (file,) = (path for path in folder.iterdir() if path.name.startswith("model."))
    with pytest.raises(ModelError, match=attack.becomes) as refusal:
        load_model(ModelSource(name, file, {}))
    assert "\n" not in str(refusal.value)
    assert not place.marker.exists()
    assert place.secret.read_bytes() == SECRET
    assert {path.name for path in tmp_path.iterdir()} == {"models", "secret.bin"}
