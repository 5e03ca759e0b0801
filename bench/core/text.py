"""Text from elsewhere: made safe to show, and read as lists."""

from bench.core.errors import UserError


def plain(text: str) -> str:
    """One line without anything that steers a terminal: control characters, escape sequences, bidirectional marks and
    lone surrogates become spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def names_in(text: str) -> tuple[str, ...]:
    """Comma-separated names, without the spaces around them and without empty ones; 'none' for none."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return () if names == ("none",) else names


def typed_names(text: str, option: str) -> tuple[str, ...]:
    """Those of an option. Raises UserError, which names `option`, where the text names none and does not say 'none'."""
    names = names_in(text)
    if not names and text.strip() != "none":
        raise UserError(f"{option} {text!r} names nothing: expected comma-separated names, or none; or leave it out")
    return names


def numbers_in(text: str, option: str) -> tuple[int, ...]:
    """Comma-separated whole numbers. Raises UserError, which names `option`, where they are none."""
    try:
        numbers = tuple(int(name) for name in names_in(text))
    except ValueError:
        numbers = ()
    if not numbers:
        raise UserError(f"{option} {text!r}: expected whole numbers, comma-separated; for example {option} 2,3")
    return numbers
