"""Addresses of clusters: what is wrong with one is said in one line, and soon."""

import os
import socket
import sys
import time

import pytest

from lagotto.core.errors import LagottoError, MissingExtraError, UsageError
from lagotto.jobs.cluster import join
from lagotto.jobs.cluster.join import check_address, set_variables
from lagotto.jobs.worker_limits import Limits


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables and tokens as in a new process; what a test sets is gone behind it."""
    monkeypatch.setattr(join, "_made_tokens", [])
    monkeypatch.setattr(join.os, "environ", dict(os.environ))


@pytest.mark.parametrize("address", ["", "head", "ray://head:10001", ":6379", "head:x", "a:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="give HOST:PORT of its head") as refused:
        check_address(address)
    assert "\n" not in str(refused.value)


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(LagottoError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        check_address(f"127.0.0.1:{port}")
    assert time.monotonic() - began < 20


def test_somebody_answers_who_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "_TRY", "import time; time.sleep(60)")
    monkeypatch.setattr(join, "_JOIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(LagottoError, match=f"no Ray cluster answered at {address} within"):
            check_address(address)


def test_a_cluster_of_another_version_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Version mismatch: The cluster was started with:\\n Ray: 2.9\\n Python: 3.9.1"
    monkeypatch.setattr(join, "_TRY", f"print({said!r}.encode().decode('unicode_escape')); exit(3)")
    with pytest.raises(LagottoError, match=r"join .*: Version mismatch.*Python: 3") as no:
        check_address("auto")
    assert "\n" not in str(no.value)


def test_an_address_is_for_ray_alone() -> None:
    with pytest.raises(UsageError, match="--ray-address goes with --runner ray"):
        Limits(ray_address="auto").start()


@pytest.mark.parametrize("address", [None, "auto"])
def test_without_the_package_the_pip_line_is_given(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lagotto.jobs.cluster.ray", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'lagotto\[ray\]'"):
        Limits("ray", ray_address=address).start()


def test_what_ray_reads_and_the_token_of_a_cluster_of_ones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
        os.environ.pop(name, None)
    set_variables(is_own=False)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert "RAY_AUTH_MODE" not in os.environ
    set_variables(is_own=True)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    with pytest.raises(LagottoError, match="in a new process"):
        set_variables(is_own=False)
