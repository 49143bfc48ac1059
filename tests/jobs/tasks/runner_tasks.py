"""Tasks for the tests of runners, well-behaved and not; workers find this file on PYTHONPATH."""

import ctypes
import mmap
import os
import signal
import sys
import time
from pathlib import Path

import lagotto
from lagotto.core.errors import ModelError

MIB = 1 << 20
KEPT = []


def double(payload, progress):
    return {"twice": 2 * payload["number"], "pid": os.getpid()}


def count(payload, progress):
    for _ in range(payload["times"]):
        progress(payload["step"])
    return {}


def echo(payload, progress):
    return payload


def fail_on_purpose(payload, progress):
    raise ModelError("the file is empty; give a model file")


def fail_by_bug(payload, progress):
    raise ZeroDivisionError("first line\nsecond line")


def fail_wrapped_memory(payload, progress):
    try:
        raise MemoryError
    except MemoryError as error:
        raise ModelError("cannot be loaded") from error


def leave(payload, progress):
    sys.exit("enough")


def interrupt(payload, progress):
    raise KeyboardInterrupt


def recurse(payload, progress):
    return recurse(payload, progress)


def give_list(payload, progress):
    return [1, 2]


def give_object(payload, progress):
    return {"value": object()}


def give_too_much(payload, progress):
    return {"text": "x" * (5 * MIB)}


def segfault(payload, progress):
    ctypes.string_at(0)


def abort(payload, progress):
    os.write(2, b"\n\x1b[31mcannot\x07 go on\n\n")
    os.abort()


def run_out_in_native_code(payload, progress):
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def exit_at_once(payload, progress):
    os._exit(3)


def close_pipes(payload, progress):
    os.closerange(3, 1 << 20)  # also where the caller has many files open
    time.sleep(60)


def close_all_but_the_way_back(payload, progress):
    channel = int(sys.argv[2])
    os.closerange(3, channel)
    os.closerange(channel + 1, 1 << 20)
    return {}


def leave_a_child_behind(payload, progress):
    if os.fork() == 0:
        time.sleep(10)
        os._exit(0)
    os._exit(4)


def garble(payload, progress):
    os.write(int(sys.argv[2]), payload["text"].encode())
    time.sleep(60)


def flood_channel(payload, progress):
    while True:
        os.write(int(sys.argv[2]), b"x" * 65536)


def hang(payload, progress):
    if "folder" in payload:
        Path(payload["folder"], str(os.getpid())).touch()
    while True:
        pass


def hang_deaf(payload, progress):
    """Blocks every signal it can and keeps the interpreter's lock in native code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if "folder" in payload:
        Path(payload["folder"], str(os.getpid())).touch()
    ctypes.PyDLL(None).sleep(60)


def grow(payload, progress):
    """Takes 8 MiB more and more, with a pause between; leaves a file once it is refused."""
    blocks = []
    try:
        while True:
            blocks.append(bytearray(b"x") * (8 * MIB))
            time.sleep(payload.get("pause_s", 0))
    except MemoryError:
        blocks.clear()
        Path(payload["folder"], "refused").touch()
        raise


def allocate_at_once(payload, progress):
    import numpy as np

    return {"sum": float(np.ones(8192 * MIB, dtype=np.uint8).sum())}


def keep(payload, progress):
    KEPT.append(bytearray(b"x") * (payload["mib"] * MIB))
    return {"pid": os.getpid()}


def read_mapped(payload, progress):
    with (
        open(payload["file"], "rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        touched = sum(view[i] for i in range(0, len(view), 4096))
        time.sleep(0.3)
    return {"touched": touched}


def spam_stderr(payload, progress):
    for _ in range(payload["mib"]):
        os.write(2, b"y" * (MIB - 1) + b"\n")
    if payload["then_abort"]:
        os.write(2, b"the last line")
        os.abort()
    return {}


def spam_stdout(payload, progress):
    for _ in range(2000):
        print('{"value": {"forged": true}}')
        os.write(1, b'{"value": {"forged": true}}\n')
    return {"honest": True}


def read_stdin(payload, progress):
    return {"read": sys.stdin.read()}


def interrupt_by_signal(payload, progress):
    os.kill(os.getpid(), signal.SIGINT)
    return {}


def threads(payload, progress):
    return {"threads": os.environ["OMP_NUM_THREADS"]}


def where(payload, progress):
    return {"lagotto": lagotto.__file__}
