"""What can go wrong in a way that a user can mend, and the exit codes of the command line."""

from collections.abc import Iterable
from difflib import get_close_matches

BAD_INPUT = 2
DIVERGED = 3
BUSY = 4
INTERRUPTED = 75  # EX_TEMPFAIL: the run is checkpointed, start the same command again


class UserError(Exception):
    """Bad input: one line that says what is wrong, where, and what mends it. The command line exits with `code`."""

    code = BAD_INPUT


class Unfit(UserError):
    """This method cannot do this task, as it is configured: a sweep skips the cell and says why."""


class Busy(UserError):
    """Another process owns what this one wants."""

    code = BUSY


class Interrupted(Exception):
    """SIGTERM or SIGUSR1 arrived; everything is saved and the same command goes on from here."""


def unknown(kind: str, name: str, known: Iterable[str], mend: str = "") -> UserError:
    """The error for a name that is not known, with the nearest known one."""
    known = sorted(known)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return UserError(f"unknown {kind} {name!r}; {hint}{' ' + mend if mend else ''}")
