"""Fixtures that any test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from hub_stub import StubHub
from lagotto.core.registry import Adapter
from lagotto.jobs.registry import RUNNERS
from postgres_server import RealServer, running_server

# A product of small matrices by two threads in each of two test processes, on two cores, waits more
# than it computes. The processes of pytest-xdist take this over before they load numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("any machine", deadline=None)
settings.register_profile("few", deadline=None, max_examples=15)
settings.load_profile("any machine")

IN_WORKERS = Adapter("lagotto.jobs.local", "LocalRunner")
IN_THIS_PROCESS = Adapter("same_process", "SameProcessRunner")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a number of examples of their own draw no more than the profile allows either."""
    few = settings()
    for item in items:
        own = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)
        if own is not None and few.max_examples < own.max_examples and few.max_examples < 100:
            item.obj._hypothesis_internal_use_settings = settings(
                own, max_examples=few.max_examples
            )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Models run in this process, but in workers for tests that are marked so.

    A hook, not a fixture: it comes before the fixtures of a module, which add models too.
    """
    wanted = item.get_closest_marker("workers") is not None
    RUNNERS["local"] = IN_WORKERS if wanted else IN_THIS_PROCESS


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


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[RealServer]:
    """A PostgreSQL with pgvector for all tests of this process that ask for it."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres(
    running_postgres: RealServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[RealServer]:
    """That server without a store; what is kept of one on this machine has an own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    running_postgres.forget_all()
    yield running_postgres
    running_postgres.forget_all()
