"""One run as several processes of this machine, each on a GPU of its own: what `--gpus N` starts. As torchrun does, but
a signal reaches every process at once, and the exit code is the run's own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import IO

from bench.core.errors import UserError

PATIENCE = 60.0  # seconds in which the other processes leave when one has failed
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


def is_one() -> bool:
    """Whether this process is one of several already, started by us or by torchrun."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def start(count: int, arguments: Sequence[str]) -> int:
    """`python -m bench ARGUMENTS` in `count` processes. Returns the exit code of the first that fails, 0 if none does.

    Rank 0 speaks; what another one says is printed where that one was the first to fail.
    """
    port = free_port()
    with ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count - 1)]
        processes = [_start(rank, count, port, arguments, [None, *errors][rank]) for rank in range(count)]
        before = {number: signal.signal(number, _passing_on(processes)) for number in SIGNALS}
        try:
            failed = _first_failure(processes)
            _end(processes)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if failed is None:
            return 0
        if processes[failed].returncode != processes[0].returncode:
            errors[failed - 1].seek(0)
            sys.stderr.write(errors[failed - 1].read().decode(errors="replace"))
        return _exit_code(processes[failed])


def _start(
    rank: int, count: int, port: int, arguments: Sequence[str], errors: IO[bytes] | None
) -> "subprocess.Popen[bytes]":
    here = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        env={**os.environ, **{name: str(value) for name, value in here.items()}},
        stdout=subprocess.DEVNULL if rank else None,
        stderr=errors,
        start_new_session=True,  # signals of a terminal come through this process alone
    )


def _first_failure(processes: Sequence["subprocess.Popen[bytes]"]) -> int | None:
    """Waits for all processes, or until one fails: its rank. Of several at a time the lowest."""
    while True:
        codes = [process.poll() for process in processes]
        if any(codes):
            time.sleep(1)  # what one cannot do often no other can: then the first one says it
            return min(rank for rank, process in enumerate(processes) if process.poll())
        if None not in codes:
            return None
        time.sleep(0.1)


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Those that are left cannot go on alone."""
    until = time.monotonic() + PATIENCE
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _passing_on(processes: Sequence["subprocess.Popen[bytes]"]) -> "signal._HANDLER":
    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    return pass_on


def _exit_code(process: "subprocess.Popen[bytes]") -> int:
    code = process.returncode
    return code if code >= 0 else 128 - code  # as a shell has it for a process that a signal ended


def free_port() -> int:
    """A TCP port of this machine that nobody uses now."""
    try:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            return int(found.getsockname()[1])
    except OSError as error:
        raise UserError(f"--gpus: no port is free on this machine for its processes to meet ({error})") from None
