"""Fixtures that any test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from hub_stub import StubHub

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real models, photos and encoder; tests that need it skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "assets"
    folder = Path(os.environ.get("LAGOTTO_ASSETS", default))
    if not folder.is_dir():
        pytest.skip(f"no shared assets at {folder}; set LAGOTTO_ASSETS")
    return folder


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StubHub]:
    """A local Hugging Face Hub without repositories, with a cache of its own."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    hub = StubHub({})
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    yield hub
    hub.close()
