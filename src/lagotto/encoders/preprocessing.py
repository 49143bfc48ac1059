"""A preprocessor_config.json comes in; the preprocessing of an encoder goes out."""

from lagotto.core.errors import EncoderError
from lagotto.core.image_processor import Preprocessing, read_image_processor
from lagotto.core.types import JsonObject


def read_preprocessing(settings: JsonObject, siglip: bool = False) -> Preprocessing:
    """The preprocessing that the settings describe; EncoderError for what cannot be reproduced."""
    return read_image_processor(settings, EncoderError, siglip)
