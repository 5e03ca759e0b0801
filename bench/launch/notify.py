"""A command that is run once a sweep has ended, such as one that sends a message. No shell sees its words."""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.core.text import plain
from bench.launch import status, sweeps
from bench.launch.environment import clean

PATIENCE = 60.0  # seconds that the command may take


@dataclass(frozen=True)
class Notice:
    """The command of a sweep. {sweep}, {results} and {summary} in its words stand for the sweep's name, the results
    folder, and how its runs ended: "12 done, 1 failed"."""

    words: tuple[str, ...]
    results: str
    sweep: str

    def __call__(self) -> str:
        """Runs the command; returns what went wrong in a line, empty if nothing did: a sweep has ended either way."""
        values = {"{sweep}": self.sweep, "{results}": self.results, "{summary}": self.summary()}
        words = [_filled(word, values) for word in self.words]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE,
                env=clean(os.environ),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"notify: {words[0]} gave no answer in {PATIENCE:.0f} seconds"
        except (OSError, ValueError) as error:
            return f"notify: {words[0]} cannot be run: {error}"
        if done.returncode:
            return plain(f"notify: {words[0]} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
        return ""

    def summary(self) -> str:
        """How the runs of the sweep stand now."""
        results = Path(self.results)
        sweep = sweeps.find(results, self.sweep)
        rows = status.look(results, [results / run for run in sweep.runs]).rows
        return ", ".join(f"{n} {state}" for state, n in Counter(row.state for row in rows).most_common())


def _filled(word: str, values: dict[str, str]) -> str:
    for place, value in values.items():
        word = word.replace(place, value)
    return word
