"""The text that lies beside a picture, in a tar or a folder, comes in; its captions go out."""

import json

from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    find_caption_columns,
    merge_captions,
    parse_captions,
)

TEXT_ENDINGS = ("txt", "caption", "json", "captions", "text")
MAX_TEXT_BYTES = 2**20


def captions_of_file(data: bytes, ending: str) -> CaptionTexts:
    """The captions in a text that belongs to a picture.

    Each line of a text is one. A json object has its captions under one of the usual names.

    Raises:
        ValueError: The text is not UTF-8, not JSON, or holds numbers alone, as files of boxes do.
        TypeError: The JSON is no object, or its captions are no texts.
    """
    if ending == "json":
        content = json.loads(data)
        if not isinstance(content, dict):
            raise TypeError(type(content).__name__)
        captions: CaptionTexts = ()
        for name in find_caption_columns(list(content), with_rare=False):
            captions = merge_captions(captions, parse_captions(content[name]))
        return captions
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    if text.strip() and not any(char.isalpha() for char in text):
        raise ValueError("numbers alone")
    return parse_captions(text.splitlines())
