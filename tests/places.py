"""Every place in a JSON value, and what can be put there instead."""

from collections.abc import Iterator
from typing import Any

# one value of every JSON type, some of them extreme
VALUES: tuple[Any, ...] = (None, True, -1, 10**30, 0.5, "x", [], {}, [None], {"x": None})

Place = tuple[Any, ...]


def damaged_values(whole: Any) -> Iterator[Any]:
    """`whole` with each of VALUES in each of its places, the place of the whole included."""
    for place in _places(whole):
        for value in VALUES:
            yield _put(whole, place, value)


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from _places(part, (*place, key))


def _put(value: Any, place: Place, new: Any) -> Any:
    if not place:
        return new
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[place[0]] = _put(value[place[0]], place[1:], new)
    return copied
