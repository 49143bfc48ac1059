"""`lagotto serve` as a process, and what it says when it cannot serve."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from colour_world import World, write_encoder
from command_line import lagotto
from lagotto.core.errors import UsageError
from lagotto.web.options import ServerOptions, is_loopback, read_token
from lagotto.web.security.hosts import HostList
from lagotto.zeroshot.captions.store import CaptionStore


def test_a_served_hub_answers_until_it_is_stopped(world: World, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-twenty-letters\n")
    words = ["serve", str(world.hub), "--port", "0", "--token", str(token)]
    with subprocess.Popen(
        [sys.executable, "-m", "lagotto", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.endswith("/?token=a-token-of-twenty-letters")
            origin = address.partition("/?")[0]
            until = time.monotonic() + 60
            while httpx.get(f"{origin}/healthz").status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.1)
            assert httpx.get(f"{origin}/api/v1/hub").status_code == 401
            with httpx.Client(follow_redirects=True) as client:
                assert client.get(address).status_code == 200
                found = client.get(f"{origin}/api/v1/search", params={"q": "red"}).json()
            assert found["hits"]
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in errors
    assert "Ctrl-C stops it" in errors


def test_what_cannot_be_served_is_said_in_one_line(world: World, tmp_path: Path) -> None:
    lagotto("serve", tmp_path / "none").refused(1, "none", "lagotto hub create")
    lagotto("serve", world.hub, "--host", "0.0.0.0").refused(2, "--token auto")
    lagotto("serve", world.hub, "--token", tmp_path / "none").refused(2, "cannot be read")
    short = tmp_path / "short"
    short.write_text("secret\n")
    lagotto("serve", world.hub, "--token", short).refused(2, "16 characters or more")
    lagotto("serve", world.hub, "--captions", tmp_path / "none").refused(1, "none")
    lagotto("serve", world.hub, "--host", "203.0.113.7", "--token", "auto").refused(
        2, "203.0.113.7"
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        lagotto("serve", world.hub, "--port", port).refused(2, port, "taken", "--port 0")


def test_a_store_of_another_encoder_is_refused_with_both_named(
    world: World, tmp_path: Path
) -> None:
    other = write_encoder(tmp_path / "encoder", sharpness=3.0)
    store = CaptionStore.begin(tmp_path / "captions", str(other))
    store.close()
    answer = lagotto("serve", world.hub, "--captions", tmp_path / "captions")
    answer.refused(1, "caption store", "hub", "give a store of the hub's encoder")


def test_an_encoder_that_is_gone_ends_the_server_with_a_line(world: World, tmp_path: Path) -> None:
    answer = lagotto("serve", world.hub, "--port", "0", "--encoder", tmp_path / "none")
    answer.refused(2, "none", "no such folder")


def test_without_the_extra_there_is_a_pip_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    lagotto("serve", world.hub).refused(1, "pip install 'lagotto[web]'")


def test_tokens_and_hosts() -> None:
    assert read_token(None) is None
    first, second = read_token("auto"), read_token("auto")
    assert first is not None
    assert len(first) >= 32
    assert first != second
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "a.b")] == [
        *(True, True, True, False, False)
    ]
    with pytest.raises(UsageError, match="65535"):
        ServerOptions(port=65536)
    assert "secret" not in repr(ServerOptions(token="secret"))
    public = HostList("0.0.0.0", ("lagotto.example", "other.example:81"))
    here = ("192.0.2.5", 8765)
    assert public.allows("192.0.2.5:8765", here, "http")
    assert public.allows("lagotto.example", here, "http")
    assert public.allows("other.example:81", here, "http")
    assert not public.allows("0.0.0.0:8765", here, "http")
    assert not public.allows("other.example", here, "http")
    assert not public.allows("192.0.2.6:8765", here, "http")
