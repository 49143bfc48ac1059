"""A row that describes a picture comes in; its licence, author and origin, as stated, go out."""

from collections.abc import Mapping, Sequence

from lagotto.core.parsing.captioned_tables import first_column, storable
from lagotto.core.text.clean import clean_text
from lagotto.core.types import NO_CREDIT, Credit

LICENCE_COLUMNS = (
    *("licence", "license", "licence_name", "license_name", "licensename", "licence_type"),
    *("license_type", "rights", "licence_url", "license_url", "licenseurl"),
)
AUTHOR_COLUMNS = (
    *("author", "photographer", "creator", "artist", "owner_name", "ownername", "unickname"),
    *("owner", "uploader", "attribution", "credit"),
)
ORIGIN_COLUMNS = (
    *("source_url", "page_url", "pageurl", "flickr_url", "coco_url", "download_url"),
    *("downloadurl", "image_url", "url", "source"),
)
"""Names under which tables state these; the first that a table has is read, in any case."""

_LONGEST = 300
_UNKNOWN = ("", "unknown", "other", "none", "n/a", "null")


def credit_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table that state licence, author and origin, as far as it has them."""
    kinds = (LICENCE_COLUMNS, AUTHOR_COLUMNS, ORIGIN_COLUMNS)
    found = (first_column(names, columns) for names in kinds)
    return tuple(column for column in found if column is not None)


def credit_of_row(row: Mapping[str, object]) -> Credit:
    """What a row states; a cell that is no text states nothing.

    >>> credit_of_row({"License": "CC BY 4.0", "caption": "a dog", "photographer": " Ann "})
    Credit(licence='CC BY 4.0', author='Ann', origin='')
    """
    licence, author, origin = (
        _stated(row, names) for names in (LICENCE_COLUMNS, AUTHOR_COLUMNS, ORIGIN_COLUMNS)
    )
    if not (licence or author or origin):
        return NO_CREDIT
    return Credit("" if is_unknown(licence) else licence, author, origin)


def is_unknown(licence: str) -> bool:
    """Whether what stands for a licence names none."""
    return licence.strip().lower() in _UNKNOWN


def _stated(row: Mapping[str, object], names: Sequence[str]) -> str:
    column = first_column(names, list(row))
    value = None if column is None else row[column]
    return clean_text(storable(value))[:_LONGEST].strip() if isinstance(value, str) else ""
