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


# What torch says in a RuntimeError where memory is short, on a GPU and on a CPU, and of sizes that no memory has.
_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "Storage size calculation overflowed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was too short, which says nothing about what was read or computed."""
    said = isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY)
    return isinstance(error, MemoryError) or said


def out_of_memory(error: BaseException) -> str:
    """The line for an error that `is_out_of_memory`."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
    return f"memory is too short ({reason}); choose smaller networks, a smaller batch or fewer images at a time"


def unknown(kind: str, name: str, known: Iterable[str], mend: str = "") -> UserError:
    """The error for a name that is not known, with the nearest known one."""
    known = sorted(known)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return UserError(f"unknown {kind} {name!r}; {hint}{' ' + mend if mend else ''}")
