"""Hugging Face image-processor settings of an encoder: read as in core, refused as EncoderError."""

from lagotto.core.errors import EncoderError
from lagotto.core.image_processor import Preprocessing, read_image_processor
from lagotto.core.types import JsonObject


def read_preprocessing(settings: JsonObject, siglip: bool = False) -> Preprocessing:
    """The preprocessing that a preprocessor_config.json describes; see core.image_processor."""
    return read_image_processor(settings, EncoderError, siglip)
