"""The wire format of protocol buffers, as far as SceneNet's files need it. No data set by itself.

Source: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator
from typing import Any


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value): int for varints, bytes for all else. ValueError where the message is cut off."""
    view, place = memoryview(data), 0
    while place < len(view):
        tag, place = _varint(view, place)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(view, place)
            yield number, value
            continue
        if wire == 2:
            length, place = _varint(view, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {place}")
        if place + length > len(view):
            raise ValueError("the file is cut off")
        yield number, bytes(view[place : place + length])
        place += length


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(view) or shift > 63:
            raise ValueError("the file is cut off")
        byte = view[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
