"""The address of a Ray cluster comes in; an environment to join it goes out, or what is wrong.

Ray waits for minutes, and writes to the terminal, where nothing answers. So a process of its own
tries first, which can be ended.
"""

import os
import secrets
import socket
import subprocess
import sys

from lagotto.core.errors import LagottoError, UsageError, reason

_ANSWER_S = 5.0
_JOIN_S = 45.0
_TRY = """
import logging, sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
except Exception as error:
    print(error)
    sys.exit(3)
"""
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # and no warning that this will change
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",  # as workers that are no actors of Ray have it
}
_AUTH, _TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
_made_tokens: list[str] = []
_HINT = "on one of its nodes, `ray status` says whether it runs"


def set_variables(is_own: bool) -> None:
    """Sets what Ray reads when it is imported; what the user has set stays.

    A cluster that `is_own`, started here, serves nobody who lacks the token of this process. Raises
    LagottoError if this process had such a cluster and is to join another.
    """
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    if not is_own and _made_tokens:
        raise LagottoError(
            "this process has had a Ray cluster of its own; join another one in a new process"
        )
    if is_own and "ray" not in sys.modules and _AUTH not in os.environ:
        _made_tokens.append(secrets.token_hex(32))
        os.environ |= {_AUTH: "token", _TOKEN: _made_tokens[0]}


def check_address(address: str) -> None:
    """Makes sure that a Ray cluster can be joined.

    Args:
        address: "HOST:PORT" of its head, or "auto" for the one that this machine is a node of.

    Raises:
        UsageError: That is no address.
        LagottoError: Nothing answers within a minute, or the cluster has another Ray or Python.
    """
    if address != "auto":
        _knock(address)
    try:
        command = [sys.executable, "-P", "-c", _TRY, address]
        tried = subprocess.run(command, capture_output=True, text=True, timeout=_JOIN_S)
    except subprocess.TimeoutExpired:
        raise LagottoError(
            f"no Ray cluster answered at {address} within {_JOIN_S:g} s; {_HINT}"
        ) from None
    if tried.returncode:
        said = tried.stdout.strip() or tried.stderr.strip() or "no reason given"
        raise LagottoError(f"cannot join the Ray cluster at {address}: {reason(Exception(said))}")


def _knock(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not colon or not host or "/" in host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(
            f"{address!r} is no address of a Ray cluster; give HOST:PORT of its head, as `ray "
            "start` prints it, or auto, on a machine that is one of its nodes"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except OSError as error:
        raise LagottoError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); {_HINT}"
        ) from error
