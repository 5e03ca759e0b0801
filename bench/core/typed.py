"""Files of state are read and written here and nowhere else: JSON and TOML, checked against a type as they are read.

The types are `msgspec.Struct`s (and plain dataclasses). msgspec decodes and checks in one pass of compiled code, so
that `bench status` of 1,000 runs stays under a second, and it depends on nothing. Whatever is wrong with a file (it
is a folder, empty, cut, not UTF-8, not JSON, of another shape, of a newer version, holds NaN or a number too large)
becomes one UserError that names the file, the place inside it, and what mends it.
"""

import json
import math
import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from bench.core.errors import UserError, unknown
from bench.core.files import write_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
LARGEST = 1 << 28  # bytes of a file of state
UPDATE = "update i2i-bench"  # mends a file that a newer version wrote

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Size = Annotated[int, msgspec.Meta(ge=1, le=2**31)]  # of images in pixels, and of sets of them


def read_typed(path: Path, kind: type[T], mend: str) -> T:
    """The content of a JSON file, or of a TOML file where its name ends in .toml, as a `kind`.

    mend  what the reader of the message can do about a damaged file: "run it again or delete it"

    Raises UserError for anything that is wrong. A `kind` with a field `schema: Literal[1, 2]` says which versions of
    the file this program knows.
    """
    return decode(_content(path, mend), kind, path, mend)


def decode(data: bytes, kind: type[T], source: Path | str, mend: str) -> T:
    """`read_typed` of bytes that came from `source`; TOML where that is a path that ends in .toml."""
    try:
        if _is_toml(source):
            return msgspec.convert(_toml(data), kind)
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _misshapen(error, data, kind, source, mend) from None
    except UserError as error:  # of a Struct that checks itself
        raise damaged(source, str(error), mend) from None
    except UnicodeDecodeError:
        raise damaged(source, "it is not UTF-8", mend) from None
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        language = "TOML" if _is_toml(source) else "JSON"
        what = f"it is not {language} ({error})" if data.strip() else "it is empty"
        raise damaged(source, what, mend) from None


def write_typed(path: Path, value: Any) -> None:
    """Writes a Struct, dataclass or JSON-able value as JSON, whole or not at all. Raises ValueError for NaN."""
    write_text(path, json.dumps(msgspec.to_builtins(value), indent=2, allow_nan=False) + "\n")


def read_lines(path: Path, kind: type[T]) -> list[T]:
    """The lines of a log, each a JSON value, that are of this kind.

    A log decides nothing: a line that a killed process left unfinished, or that is damaged, is passed over, and a file
    that is missing or cannot be read is a log without lines.
    """
    values: list[T] = []
    with suppress(OSError):
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with suppress(msgspec.MsgspecError, ValueError, RecursionError):
                values.append(msgspec.json.decode(line, type=kind))
    return values


class Damaged(UserError):
    """A file is missing, or its content is wrong. Not raised where it cannot be read just now (EMFILE, EIO, ESTALE)."""


def damaged(source: Path | str, what: str, mend: str) -> Damaged:
    """The error for a file whose content is wrong; TOML files are written by people, who make mistakes."""
    return Damaged(f"{source} is {'wrong' if _is_toml(source) else 'damaged'}: {what}; {mend}")


def _is_toml(source: Path | str) -> bool:
    return str(source).endswith(".toml")


def _content(path: Path, mend: str) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise damaged(path, "it is not a file", mend)
            if facts.st_size > LARGEST:
                raise damaged(path, f"it is larger than {LARGEST} bytes", mend)
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Damaged(f"{path} cannot be read ({error.strerror}); {mend}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {mend}") from None
    except ValueError as error:  # a name that no file can have, such as one with a zero byte
        raise Damaged(f"{str(path)!r} cannot be read ({error}); {mend}") from None


def _open_at_once(path: str, flags: int) -> int:
    """Does not wait for the other end where the path is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _toml(data: bytes) -> dict[str, Any]:
    values = tomllib.loads(data.decode("utf-8"))
    _refuse_infinite(values)
    return values


def _refuse_infinite(value: Any) -> None:
    """TOML has nan and inf; JSON, and everything that is made of these values, has not."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"it holds the number {value}")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_infinite(part)


# What msgspec says of a value of the wrong shape, and how we say it; {} is the place.
_SAID = (
    (re.compile(r"Object missing required field `(?P<key>.+)`"), "{at}{key} is missing"),
    (re.compile(r"Invalid enum value (?P<value>.+)"), "{place} cannot be {value}"),
)
_KINDS = {
    "object": "a table of keys", "array": "a list", "str": "text", "int": "a whole number", "float": "a number",
    "bool": "true or false",
}  # fmt: skip


def _misshapen(error: msgspec.ValidationError, data: bytes, kind: type, source: Path | str, mend: str) -> UserError:
    """The error for a file that is JSON or TOML, but not of its type."""
    raw = _toml(data) if _is_toml(source) else _untyped(data)
    newer = _newer(raw, kind)
    if newer is not None:
        return UserError(f"{source} has schema {newer}, which this program does not know; {UPDATE}")
    place = _place(error, raw, kind)
    if matched := re.match(r"Object contains unknown field `(.+?)`", str(error)):
        return unknown("key", matched[1], _keys_at(place, kind), f"({source})")
    text = str(error).split(" - at ")[0]
    for pattern, said in _SAID:
        if matched := pattern.fullmatch(text):
            at = f"{place}." if place else ""
            return damaged(source, said.format(at=at, place=place or "it", **matched.groupdict()), mend)
    if matched := re.fullmatch(r"Expected `(.+?)`(.*?)(?:, got `(.+)`)?", text):
        kinds = [name for name in matched[1].split(" | ") if name != "null" or not _is_toml(source)]
        wanted = " or ".join(_KINDS.get(name, name) for name in kinds)
        got = f", not {_KINDS.get(matched[3], matched[3])}" if matched[3] else ""
        return damaged(source, f"{place or 'it'} must be {wanted}{matched[2]}{got}", mend)
    return damaged(source, f"{place or 'it'}: {text}", mend)


def _untyped(data: bytes) -> Any:
    """None where not even that can be read, as with a number too large."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _newer(raw: Any, kind: type) -> int | None:
    """The version that the file says it has, where this program does not know it."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)} if _is_struct(kind) else {}
    known = getattr(fields.get("schema"), "__args__", ())
    version = raw.get("schema") if isinstance(raw, dict) else None
    is_newer = known and isinstance(version, int) and not isinstance(version, bool) and version not in known
    return version if is_newer else None


def _keys_at(place: str, kind: type) -> list[str]:
    """The keys that are known at a place: those of `kind`, or of the Structs in the list that it names."""
    keys = {field.name: field.type for field in msgspec.structs.fields(kind)}
    inner = [k for name in place.split(".") for k in _structs(keys.get(name))]
    return [field.name for k in inner or [kind] for field in msgspec.structs.fields(k)]


def _structs(annotation: Any) -> list[type]:
    """The Structs that an annotation names: list[Grid] -> [Grid]."""
    if _is_struct(annotation):
        return [annotation]
    return [kind for part in getattr(annotation, "__args__", ()) for kind in _structs(part)]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _place(error: msgspec.ValidationError, raw: Any, kind: type) -> str:
    """Where the error is: metrics.kd_effnet.value. For a key of a mapping msgspec writes [...]."""
    matched = re.search(r"`\$(.*)`$", str(error))
    node, names = raw, []
    for step in re.findall(r"\[\.\.\.\]|\[\d+\]|[^.\[\]]+", matched[1] if matched else ""):
        if step == "[...]" and isinstance(node, dict):
            name: Any = _guilty(error, node, raw, kind)
        else:
            name = int(step[1:-1]) if step.startswith("[") and step != "[...]" else step
        names.append(str(name))
        try:
            node = node[name]
        except (TypeError, LookupError):
            node = None
    return ".".join(names)


def _guilty(error: msgspec.ValidationError, node: dict[str, Any], raw: Any, kind: type) -> str:
    """The key of `node`, a part of `raw`, whose entry alone gives the same error."""
    entries = dict(node)
    for key in entries:
        node.clear()
        node[key] = entries[key]
        try:
            msgspec.convert(raw, kind)
        except msgspec.ValidationError as again:
            if str(again) == str(error):
                return key
        finally:
            node.clear()
            node.update(entries)
    return "[...]"
