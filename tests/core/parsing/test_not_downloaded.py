"""What a clone or a download leaves in place of a file is named; the real formats are not."""

import json
import os
from pathlib import Path

import pytest

from lagotto.core.parsing.not_downloaded import what_lies_at, what_lies_there

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0f" * 32 + b"\nsize 1234\n"


@pytest.mark.parametrize(
    ("head", "named"),
    [
        (b"", "empty (0 bytes)"),
        (POINTER, "a Git LFS pointer, not the file itself (1234 bytes are elsewhere)"),
        (POINTER.replace(b"\n", b"\r\n"), "(1234 bytes are elsewhere)"),
        (POINTER[:44], "a Git LFS pointer, not the file itself; run `git lfs pull`"),
        (b"version https://hawser.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"# xet version 0\nfilesize = 5\n", "a Xet pointer"),
        (b"/annex/objects/SHA256E-s5--ab.onnx\n", "run `git annex get`"),
        (b"../../blobs/0a1b2c", "the text of a link ('../../blobs/0a1b2c')"),
        (b"<!DOCTYPE html><html><head><title>Sign\n in</title>", "a saved web page ('Sign in')"),
        (b"\xef\xbb\xbf\n<!-- saved from url --> <!-- 2 -->\n<HTML>", "a saved web page,"),
        ("<!doctype html><title>\u00e9".encode("utf-16"), "a saved web page ('\\xe9')"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'>", "a saved web page"),
        (b"<!-- a comment that does not end in the first bytes", None),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code>', "('NoSuchKey')"),
        (b'{"error":"Repository not found"}', "a server's answer ('Repository not found')"),
        (b'{"message": "Not Found", "documentation_url": "d", "status": "404"}', "('Not Found')"),
        (b'{"detail": [{"msg": "no"}]}', "a server's answer"),
        (b'{"Code": 10010205001, "Message": "No", "Success": false}', "answer ('No')"),
        (b'{"error": {"code": 404}}', "answer"),
        (b"Found. Redirecting to https://cdn.example/x", "'Found. Redirecting to https"),
        (b"error code: 1020", "a server's answer"),
        (b"<center><h1>404 Not Found</h1></center>", "a saved web page"),
        (b"[InternetShortcut]\r\nURL=https://example.org/", "a shortcut of Windows"),
        (POINTER.decode().encode("utf-16"), "a Git LFS pointer"),
        (b"Entry not found", "a server's answer ('Entry not found')"),
        (b"404: Not Found", "a server's answer ('404: Not Found')"),
        (b"Access to model a/b is restricted. You must be logged in.\n", "is restricted"),
        (b"Invalid username or password.", "a server's answer"),
        (bytes(64), "filled with zeros"),
        (b"PK\x03\x04" + b"\x14\0" * 13 + b"archive/data.pkl", "a checkpoint of PyTorch"),
        (b"PK\x03\x04" + b"\x14\0" * 13 + b"model.onnx", "a zip archive; unpack it first"),
        (b"\x1f\x8b\x08\0", "compressed by gzip; unpack it first"),
        (b"\0\x05\x16\x07\0\x02", "AppleDouble"),
    ],
)
def test_what_is_no_file_is_named(head: bytes, named: str | None, tmp_path: Path) -> None:
    clause = what_lies_there(head)
    if named is None:
        assert clause is None
        return
    assert clause is not None
    assert named in clause
    assert clause.isascii()
    assert "\n" not in clause
    (tmp_path / "file").write_bytes(head)
    assert what_lies_at(tmp_path / "file") == clause


@pytest.mark.parametrize(
    "head",
    [
        b"\x08\x08\x12\x07pytorch",
        b"\x1c\0\0\0TFL3",
        b"PAR1\x15\x04",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"cat\ndog\nnot found\n",
        b"found\nlost\n",
        b"data\ncode\n",
        b"error\nmessage\n",
        json.dumps({"error": 0, "message": 1}).encode(),
        json.dumps({"version": "1.0", "model": {"error": "x"}}).encode(),
        json.dumps({"error": "broken", "violin": "whole"}).encode(),
        b'<?xml version="1.0"?><svg xmlns="x"/>',
        b"a <html> page about dogs\tcat.jpg\n",
        b"image,caption\n1.jpg,../x\n",
        b"{" * 4000,
    ],
)
def test_real_content_is_not_named(head: bytes) -> None:
    assert what_lies_there(head) is None


def test_a_missing_file_is_nothing_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    assert what_lies_at(tmp_path / "none") is None
    assert what_lies_at(tmp_path) is None
    os.mkfifo(tmp_path / "queue")
    assert what_lies_at(tmp_path / "queue") is None
