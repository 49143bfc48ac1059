"""A client that means harm is refused, learns nothing, and the server stays up for the others."""

import io
import os
import socket
import stat
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from starlette.websockets import WebSocketDisconnect

from colour_world import World
from lagotto.core.errors import PictureError
from lagotto.web.options import ClientLimits, ServerOptions
from lagotto.web.security.guard import STRICT_HEADERS
from lagotto.web.state import ServerState
from lagotto.web.uploads.plain_picture import plain_size, read_plain
from lagotto.web.uploads.store import UploadStore
from lagotto.web.uploads.worker import PictureWorker
from web_server import ADDRESS, Served, running, served

pytestmark = pytest.mark.workers

API = "/api/v1"
LIMITS = ClientLimits(
    picture_bytes=200_000, request_bytes=1 << 20, seconds=8.0, header_seconds=1.0, connections=600
)


@pytest.fixture(scope="module")
def real(world: World) -> Iterator[tuple[str, ServerState]]:
    """A server with small limits on a port of its own."""
    with running(world.hub, ServerOptions(limits=LIMITS)) as server:
        yield server


def still_answers(address: str) -> None:
    answer = httpx.get(f"{address}{API}/search", params={"q": "red", "top": 1}, timeout=30)
    assert answer.json()["hits"]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost:8766", "127.0.0.1:8765.evil.example",
     "127.0.0.1:8765@evil.example", "", "[::1", "127.0.0.1:+8765", "evil.example:8765"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", f"{API}/hub", "/healthz", "/static/x.css"])
def test_another_host_is_refused_for_get_too(site: Served, host: str, path: str) -> None:
    answer = site.anew(Host=host).get(path)
    assert answer.status_code == 421
    assert "hits" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765"])
def test_the_names_of_the_server_are_let_in(site: Served, host: str) -> None:
    assert site.anew(Host=host).get(f"{API}/jobs").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8766"},
        {"Origin": ADDRESS, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_post_of_another_site_is_refused(site: Served, headers: dict[str, str]) -> None:
    form = {"pictures": ("a.png", b"x")}
    answer = site.anew(**headers).post(f"{API}/pictures", files=form)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{"Origin": ADDRESS}, {"Sec-Fetch-Site": "same-origin"}])
def test_a_post_of_the_same_site_is_read(site: Served, headers: dict[str, str]) -> None:
    answer = site.anew(**headers).post(f"{API}/pictures", files={"pictures": ("a.png", b"x")})
    assert "not a picture" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/", "/none", f"{API}/hub", f"{API}/none", "/healthz"])
def test_every_answer_has_strict_headers(site: Served, path: str) -> None:
    headers = site.client.get(path).headers
    assert {name: headers[name] for name in STRICT_HEADERS} == STRICT_HEADERS
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "%00", "a\x00b", "~root",
     "file:///etc/passwd", "http://127.0.0.1/", "con", "x" * 900, "\u202eexe", "<script>alert(1)"],
)  # fmt: skip
def test_no_name_becomes_a_path(site: Served, name: str) -> None:
    from urllib.parse import quote

    for address in (
        f"/models/{quote(name, safe='')}",
        f"/models/{quote(name, safe='')}/outputs/0",
        f"/models/{quote(name, safe='')}/describe",
        f"/models/{quote(name, safe='')}/audit",
        f"/search?like={quote(name + ':0', safe='')}",
        f"/search?img={quote(name, safe='')}",
        f"/pictures/{quote(name, safe='')}.webp",
        f"/models?cursor={quote(name, safe='')}",
        f"/jobs/{quote(name, safe='')}",
    ):
        answer = site.client.get(API + address)
        assert answer.status_code in (400, 404, 422), (address, answer.text)
        assert "root:" not in answer.text


@pytest.mark.parametrize("number", ["-1", "1e9", "9" * 40, "0x1", "../1", "1;", "%00", "१"])
def test_no_number_becomes_anything_else(site: Served, number: str) -> None:
    for address in (f"/probes/{number}", f"/probes/{number}.webp", f"/probes/{number}/outputs"):
        assert site.client.get(API + address).status_code in (404, 422), address


def test_the_static_folder_is_not_left(site: Served) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"):
        assert site.client.get(path).status_code in (404, 405)


def test_labels_and_names_with_markup_are_data(site: Served) -> None:
    markup = "<img src=x onerror=alert(1)>"
    answer = site.client.get(f"{API}/cover", params={"labels": [markup, "red"]})
    assert answer.headers["content-type"] == "application/json"
    page = site.client.get(f"/{markup}")
    assert markup not in page.text


def test_a_body_that_is_too_large_is_refused_by_length_and_by_chunk(
    real: tuple[str, ServerState],
) -> None:
    address, _ = real
    headers = {"Origin": address, "Content-Type": "multipart/form-data; boundary=x"}

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n'
        for _ in range(90):
            yield bytes(100_000)

    with httpx.Client(timeout=30) as client:
        by_chunk = client.post(f"{address}{API}/pictures", content=chunks(), headers=headers)
        by_length = client.post(f"{address}{API}/pictures", content=bytes(9 << 20), headers=headers)
    for answer in (by_chunk, by_length):
        assert answer.status_code == 413, answer.text
        assert "over 1 MiB" in answer.json()["detail"]
    large = {"pictures": ("a.png", bytes(300_000))}
    one = httpx.post(f"{address}{API}/pictures", files=large, headers={"Origin": address})
    assert one.status_code == 413
    assert "picture 0" in one.json()["detail"]
    still_answers(address)


def test_a_lying_length_is_refused(site: Served) -> None:
    for length in ("-1", "x", "1" * 30):
        headers = {"Content-Length": length, "Content-Type": "multipart/form-data; boundary=x"}
        answer = site.client.post(f"{API}/pictures", content=b"", headers=headers)
        assert answer.status_code in (400, 413)


NO_FILE = b'--x\r\nContent-Disposition: form-data; name="pictures"\r\n\r\ntext\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data", b"nothing"),
        ("multipart/form-data; boundary=" + "b" * 300, b""),
        ("multipart/form-data; boundary=x", NO_FILE),
        ("application/json", b"{"),
        ("application/json", b"[" * 100_000),
        ("text/plain", b"\xff\xfe"),
        ("application/x-www-form-urlencoded", b"pictures=" + b"a" * 1000),
    ],
)  # fmt: skip
def test_a_broken_body_is_a_problem_in_one_line(site: Served, kind: str, body: bytes) -> None:
    for address in ("/pictures", "/search", "/classify", "/jobs", "/jobs/upload"):
        answer = site.client.post(API + address, content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 403, 413, 422), (address, answer.text)
        assert len(answer.json()["detail"]) < 600
        assert "Traceback" not in answer.text


def test_too_many_pictures_are_refused(site: Served, world: World) -> None:
    data = sorted(world.pictures.glob("*red*"))[0].read_bytes()
    form = [("pictures", (f"{i}.png", data)) for i in range(17)]
    answer = site.client.post(f"{API}/pictures", files=form)
    assert answer.status_code in (400, 422)
    assert "16" in answer.text


def png(width: int, height: int) -> bytes:
    """The head of a picture of this size whose pixels would take gigabytes."""
    import struct

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(60_000, 60_000), "over 100,000,000 pixels"),
        (png(9_000, 9_000), "damaged"),
        (b"GIF89a" + bytes(30), "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        (b"\x7fELF" + bytes(100), "not a picture"),
        (b"", "empty"),
    ],
)
def test_a_picture_bomb_ends_in_a_line_and_no_pixels_of_it_are_decoded_here(
    site: Served, data: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: object, **named: object) -> None:
        raise AssertionError("the server decoded a picture itself")

    monkeypatch.setattr(Image, "open", never)
    answer = site.client.post(f"{API}/pictures", files={"pictures": ("bomb.png", data)})
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_what_a_hostile_worker_writes_is_no_picture(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"P6\n1 1\n255\nabc")
    link = tmp_path / "link"
    link.symlink_to(secret)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path / "none", tmp_path):
        with pytest.raises(PictureError):
            read_plain(path, 100)
    assert plain_size(read_plain(secret, 100)) == (1, 1)
    with pytest.raises(PictureError):
        read_plain(secret, 5)
    for data in (
        b"",
        b"P6\n1 1\n255\nab",
        b"P6\n0 1\n255\n",
        b"P6\n1 1\n65535\nabc",
        b"P5\n1 1\n255\na",
    ):
        with pytest.raises(PictureError):
            plain_size(data)


def test_uploads_are_private_kept_a_day_and_within_their_disk() -> None:
    now = [1_000_000.0]
    worker = PictureWorker()
    limits = ClientLimits(kept_bytes=3 * 900 + 200)
    store = UploadStore(limits, worker, clock=lambda: now[0])
    try:
        assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
        uploads = []
        for level in range(5):
            buffer = io.BytesIO()
            Image.new("RGB", (20, 15), (level, 0, 0)).save(buffer, "PNG")
            uploads.append(store.keep(buffer.getvalue(), f"{level}.png"))
            now[0] += 10
        kept = [store.path(upload.address) is not None for upload in uploads]
        assert kept == [False, False, True, True, True], "the oldest go first"
        now[0] += 24 * 3600 + 11
        assert store.path(uploads[-1].address) is None
        assert store.sweep() == 3
        assert list(store.folder.iterdir()) == []
    finally:
        store.close()
        worker.close()
    assert not store.folder.exists()


def test_a_slow_client_is_cut_off_and_the_others_are_served(real: tuple[str, ServerState]) -> None:
    address, _ = real
    parts = urlsplit(address)
    place = (str(parts.hostname), int(parts.port or 0))
    slow = [socket.create_connection(place) for _ in range(40)]
    try:
        for connection in slow:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        until = time.monotonic() + 60
        open_now = list(slow)
        while open_now and time.monotonic() < until:
            still_answers(address)
            time.sleep(0.3)
            for connection in list(open_now):
                try:
                    connection.sendall(b"x")
                    connection.setblocking(False)
                    if connection.recv(10) == b"":
                        open_now.remove(connection)
                except BlockingIOError:
                    connection.setblocking(True)
                except OSError:
                    open_now.remove(connection)
        assert not open_now, "a client that never ends its headers keeps its connection"
    finally:
        for connection in slow:
            connection.close()


def test_a_slow_body_is_given_up(world: World) -> None:
    limits = ClientLimits(seconds=1.0, header_seconds=5.0)
    with running(world.hub, ServerOptions(limits=limits)) as (address, _):
        parts = urlsplit(address)
        with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
            head = f"POST {API}/pictures HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {address}\r\n"
            kind = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n"
            connection.sendall((head + kind).encode() + b"--x\r\n")
            connection.settimeout(20)
            assert b" 408 " in connection.recv(200)


@pytest.mark.thorough
def test_500_at_once_are_answered_or_told_to_come_again(real: tuple[str, ServerState]) -> None:
    address, state = real
    limits = httpx.Limits(max_connections=100)
    with httpx.Client(timeout=60, limits=limits) as client, ThreadPoolExecutor(100) as threads:

        def ask(number: int) -> httpx.Response:
            return client.get(f"{address}{API}/search", params={"q": f"red {number}", "top": 1})

        answers = list(threads.map(ask, range(500)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 429, 503}, statuses
    assert statuses[200] > 0
    for answer in answers:
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"
            assert "wait" in answer.json()["detail"]
    still_answers(address)
    assert state.gate.present == 0


def _post_until(status: int, address: str) -> httpx.Response:
    """The first answer with a status to a file that is no picture, asked for again and again.

    The server notes that a client came or left when it gets to it; a busy machine takes its time.
    """
    form = {"pictures": ("a.png", b"x")}
    end = time.monotonic() + 60
    while True:
        answer = httpx.post(
            f"{address}{API}/pictures", files=form, headers={"Origin": address}, timeout=30
        )
        if answer.status_code == status:
            return answer
        assert time.monotonic() < end, answer
        time.sleep(0.05)


def test_only_so_many_forms_are_read_at_once(world: World) -> None:
    limits = ClientLimits(heavy_at_once=1, heavy_waiting=1)
    with running(world.hub, ServerOptions(limits=limits)) as (address, _):
        parts = urlsplit(address)
        place = (str(parts.hostname), int(parts.port or 0))
        head = f"POST {API}/pictures HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {address}\r\n"
        kind = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9\r\n\r\n"
        slow = [socket.create_connection(place) for _ in range(2)]
        try:
            for connection in slow:
                connection.sendall((head + kind).encode())
            answer = _post_until(429, address)
            assert "requests with files" in answer.json()["detail"]
            still_answers(address)
        finally:
            for connection in slow:
                connection.close()
        _post_until(400, address)  # a place is given back when its client leaves


def test_websockets_and_other_methods_are_refused(site: Served) -> None:
    assert site.client.delete(f"{API}/hub").status_code == 405
    assert site.client.request("TRACE", f"{API}/hub").status_code == 405
    with pytest.raises(WebSocketDisconnect), site.client.websocket_connect("/ws"):
        pass


def test_without_leave_nothing_is_added(site: Served) -> None:
    assert site.client.post(f"{API}/jobs", json={"models": ["timm:resnet18"]}).status_code == 403
    answer = site.client.post(f"{API}/jobs/upload", files={"model": ("a.onnx", b"x")})
    assert answer.status_code == 403
    assert "--allow-add" in answer.json()["detail"]


def test_a_token_opens_the_door_and_nothing_else_does(world: World) -> None:
    token = "a-token-of-twenty-letters"
    with served(world.hub, ServerOptions(token=token)) as site:
        wrong = [
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {token}"},
            {"Cookie": f"lagotto_session={token}"},
            {"Cookie": "lagotto_session="},
        ]
        for headers in wrong:
            refused = site.anew(**headers).get(f"{API}/hub")
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        assert site.anew().get("/healthz").status_code == 200
        assert site.anew(Authorization=f"Bearer {token}").get(f"{API}/jobs").status_code == 200
        browser = site.anew()
        exchanged = browser.get(f"/?q=a+b&token={token}")
        assert exchanged.status_code == 303
        assert exchanged.headers["location"] == "/?q=a+b"
        cookie = exchanged.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert token not in cookie
        assert browser.get(f"{API}/jobs").status_code == 200
        assert browser.post(f"{API}/pictures", files={"pictures": b"x"}).status_code == 403
        outside = browser.get(f"//evil.example/?token={token}", headers={"Cookie": ""})
        assert not outside.headers.get("location", "").startswith("//")
