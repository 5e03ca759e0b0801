"""frozen.json: a run as a sweep submitted it. Jobs start from this file, so later edits of a grid reach none."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import UserError
from bench.core.provenance import commit, source_sha256
from bench.runs.spec import RunSpec

NAME = "frozen.json"


@dataclass(frozen=True)
class Frozen:
    """A run and how to carry it out.

    stage      only make the artifacts that the run prepares; the file's folder then holds state and log of that stage
    submitted  commit and source_sha256 of the code that submitted it
    """

    spec: RunSpec
    device: str | None
    threads: int
    metrics: str | None
    channels_last: bool
    checkpoint_seconds: float
    stage: bool
    submitted: dict[str, Any]
    compile: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, path: Path) -> "Frozen":
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**values, "spec": RunSpec(**values["spec"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"the frozen run {path} cannot be read ({error}); submit the sweep again") from None

    def changed_since(self) -> str | None:
        """What differs between the code that submitted the run and the code that runs it now."""
        now = this_code()
        if now["source_sha256"] == self.submitted["source_sha256"]:
            return None
        return f"the source changed between submission ({self.submitted['commit']}) and start ({now['commit']})"


def this_code() -> dict[str, Any]:
    return {"commit": commit(), "source_sha256": source_sha256()}
