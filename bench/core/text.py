"""Text from elsewhere, made safe to show."""


def plain(text: str) -> str:
    """One line without anything that steers a terminal: control characters, escape sequences, bidirectional marks and
    lone surrogates become spaces."""
    return "".join(c if c.isprintable() else " " for c in text)
