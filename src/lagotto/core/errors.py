"""The errors that Lagotto raises on purpose.

Every message says what was given, what is allowed, and what to do.
"""


class LagottoError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(LagottoError):
    """The request cannot be met as given: an unknown name, a value out of range."""

    exit_code = 2


class MissingExtraError(LagottoError):
    """An optional dependency is not installed; the message holds the pip line."""


class EncoderError(LagottoError):
    """An encoder folder is incomplete or its graphs do not have the expected form."""


class ModelError(LagottoError):
    """A classifier cannot be read or run; a hub records the message as the reason."""


class SourceError(LagottoError):
    """A remote source cannot be fetched: it is missing, gated, unsafe or out of reach."""


class PictureError(LagottoError):
    """A picture cannot be decoded within the limits; the message is why it is skipped."""


class ProbeError(LagottoError):
    """A probe source gives no usable probe set."""


class CaptionError(LagottoError):
    """A caption source gives no usable pair, or a caption store is missing or damaged."""


class HubError(LagottoError):
    """A hub folder is missing, damaged, of another format version or cannot be written."""


class MismatchError(HubError):
    """Two artefacts were made with different encoders or on different probes; both are named."""
