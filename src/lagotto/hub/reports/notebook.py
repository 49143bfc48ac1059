"""A hub and numbers of probes come in; small pictures for a notebook go out."""

from collections.abc import Sequence

from lagotto.core.errors import PictureError
from lagotto.core.images import decode_picture
from lagotto.core.results.html import SmallPicture
from lagotto.core.results.thumbnails import thumbnail_uri
from lagotto.hub.reader.reader import HubReader

MAX_PROBES_SHOWN = 12
"""Probes that a result shows; with MAX_THUMBNAIL_BYTES each it bounds the size of a notebook."""


def probe_thumbnails(hub: HubReader, probes: Sequence[int]) -> tuple[SmallPicture, ...]:
    """Thumbnails of the first MAX_PROBES_SHOWN probes of a list, each with its source.

    A probe whose picture cannot be decoded any more is left out. Raises HubError or ProbeError
    where the probe set itself cannot be read.
    """
    found: list[SmallPicture] = []
    if not hub.has_pictures:
        return ()
    for index in probes[:MAX_PROBES_SHOWN]:
        try:
            uri = thumbnail_uri(decode_picture(hub.probe_picture(index)))
        except PictureError:
            continue
        if uri:
            found.append(SmallPicture(uri, hub.probes[index].source))
    return tuple(found)
