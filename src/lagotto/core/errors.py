"""Every error a caller may meet; each message says what was given, what is allowed, what to do."""


class LagottoError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(LagottoError):
    """The caller asked for something that cannot be: an unknown name, a value out of range."""

    exit_code = 2


class MissingExtraError(LagottoError):
    """An optional dependency is not installed; the message holds the pip line."""


class EncoderError(LagottoError):
    """An encoder folder is incomplete or its graphs do not have the expected form."""


class ModelError(LagottoError):
    """A classifier cannot be read or run; the message becomes its recorded failure."""


class SourceError(LagottoError):
    """A remote source does not give what was asked: gone, gated, unsafe, or out of reach."""


class PictureError(LagottoError):
    """A picture cannot be decoded within the limits; the message is why it is set aside."""


class ProbeError(LagottoError):
    """A probe source yields no usable probe set."""


class CaptionError(LagottoError):
    """A caption source yields no usable pair, or a caption store is missing or damaged."""


class HubError(LagottoError):
    """A hub folder is missing, damaged, of another format version or cannot be written."""


class MismatchError(HubError):
    """Two artefacts were made by different encoders or on different probes; both are named."""
