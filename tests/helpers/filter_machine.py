"""Runs a seccomp filter as the kernel would."""

import struct

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06


def run_filter(filter_code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What a filter returns for a call of an architecture."""
    data = struct.pack("=iIQ6Q", number, architecture, 0, *(*arguments, *[0] * 6)[:6])
    code = list(struct.iter_unpack("=HBBI", filter_code))
    at = loaded = 0
    while True:
        kind, if_true, if_false, operand = code[at]
        at += 1
        if kind == _RETURN:
            return int(operand)
        if kind == _LOAD:
            (loaded,) = struct.unpack_from("=I", data, operand)
            continue
        if kind == _AND:
            loaded &= operand
            continue
        true = {
            _IF_EQUAL: loaded == operand,
            _IF_AT_LEAST: loaded >= operand,
            _IF_ANY_BIT: loaded & operand != 0,
        }
        at += if_true if true[kind] else if_false
