"""An encoder or a caption store comes in; the encoder to classify with goes out."""

from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.types import Captions


def choose_encoder(
    encoder: Encoder | str | None, captions: Captions | Path | str | None
) -> Encoder:
    """The encoder that is given, else the one that made the caption store.

    Raises:
        UsageError: Neither is there.
        MismatchError: The store's encoder is no longer what it was when the store was made.
    """
    if isinstance(encoder, str):
        return load_encoder(encoder)
    if encoder is not None:
        return encoder
    if isinstance(captions, Path | str):
        captions = CaptionStore.open(captions)
    if isinstance(captions, CaptionStore):
        return captions.encoder
    raise UsageError(
        "no encoder; give --encoder FOLDER (in Python: encoder=...), or a caption store or a hub, "
        "which know theirs"
    )
