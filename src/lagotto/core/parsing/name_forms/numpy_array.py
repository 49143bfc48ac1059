"""The bytes of a .npy file come in; the names in it go out. Nothing in it is unpickled."""

import io

import numpy as np

from lagotto.core.parsing.name_forms.entries import MAX_NAMES, Entries, NotNamesError

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def parse_numpy(data: bytes) -> Entries:
    """The names in an array of texts, such as the `classes_` of a label encoder.

    The header is read first, so that an array that claims more than its bytes costs nothing.

    Raises:
        NotNamesError: It is no array of texts with one axis, or it is cut short.
    """
    stream = io.BytesIO(data)
    try:
        read_header = _READERS[np.lib.format.read_magic(stream)]
        shape, _, dtype = read_header(stream)
    except (ValueError, KeyError) as error:
        raise NotNamesError("is not a NumPy file, or cut short") from error
    if dtype.hasobject:
        raise NotNamesError(
            "holds Python objects, which are never unpickled; "
            "save it as text: np.save(FILE, names.astype(str))"
        )
    if dtype.kind not in "US" or len([length for length in shape if length != 1]) > 1:
        raise NotNamesError(f"is an array of {dtype} of shape {shape}, not a list of names")
    count, rest = int(np.prod(shape, dtype=object)), data[stream.tell() :]
    if count > MAX_NAMES or count * dtype.itemsize != len(rest) or not rest:
        raise NotNamesError("is cut short, or holds no name")
    names = np.frombuffer(rest, dtype).tolist()
    try:
        texts = tuple(name if isinstance(name, str) else name.decode() for name in names)
    except UnicodeDecodeError as error:
        raise NotNamesError("holds bytes that are not UTF-8") from error
    return Entries(texts, None, "NumPy array")
