"""A token comes in; whether a client shows it, and the session that it is exchanged for, go out."""

import hmac
from hashlib import sha256

COOKIE = "lagotto_session"
_PURPOSE = b"lagotto session"


class TokenCheck:
    """Compares what clients show with the token; the time it takes tells nothing of the token.

    Args:
        token: The token; None: clients need none.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self.session = (
            "" if token is None else hmac.new(token.encode(), _PURPOSE, sha256).hexdigest()
        )

    @property
    def is_needed(self) -> bool:
        """Whether clients have to show a token."""
        return self._token is not None

    def is_right(self, shown: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and _same(shown.encode("utf-8", "replace"), self._token)

    def is_session(self, shown: str) -> bool:
        """Whether this is what the token was exchanged for."""
        return bool(self.session) and _same(shown.encode("utf-8", "replace"), self.session.encode())


def _same(one: bytes, other: bytes) -> bool:
    """Compares digests of both, so that not even the lengths show."""
    return hmac.compare_digest(sha256(one).digest(), sha256(other).digest())
