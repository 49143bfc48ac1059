"""The Host of a request comes in; whether it is a name of this server goes out.

A page of another site can have its own name resolved to this machine (DNS rebinding). Its requests
then arrive here, but with that name as their Host. So every request needs a name from a list.
"""

from collections.abc import Sequence

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_WILDCARDS = ("0.0.0.0", "::", "")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HostList:
    """The names, with their ports, under which clients may reach a server.

    Args:
        host: The address that the server listens on.
        further: More names, as NAME or NAME:PORT; without a port, any is allowed.
    """

    def __init__(self, host: str, further: Sequence[str] = ()) -> None:
        self._names = {*LOOPBACK_NAMES, _bracketed(host.lower())} - set(_WILDCARDS)
        self._any_port = {name.lower() for name in further}

    def allows(self, host: str, server: Sequence[str | int | None] | None, scheme: str) -> bool:
        """Whether a Host header names this server.

        Args:
            host: The header, NAME or NAME:PORT.
            server: The address and port at which the request arrived.
            scheme: http or https.
        """
        given = host.strip().lower()
        name, port = split_port(given)
        if given in self._any_port or name in self._any_port:
            return True
        if server is None:
            return False
        address, listening = str(server[0]), server[1]
        expected = _DEFAULT_PORTS.get(scheme) if port is None else port
        return expected == listening and name in {*self._names, _bracketed(address.lower())}


def split_port(host: str) -> tuple[str, int | None]:
    """The name and the port of NAME:PORT; None where there is none, -1 for one that is no number.

    Example:
        >>> split_port("[::1]:8765"), split_port("localhost")
        (('[::1]', 8765), ('localhost', None))
    """
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        return host, None
    return name, int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else -1


def _bracketed(address: str) -> str:
    """An address as a Host header writes it: one of IPv6 in brackets."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
