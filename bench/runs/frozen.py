"""What a run was before it had a record: frozen.json, as a sweep submitted it, and config.json, as it began."""

from pathlib import Path

from msgspec import UNSET, Struct, UnsetType

from bench.core.provenance import commit, source_sha256
from bench.core.typed import read_typed
from bench.runs.record import Code
from bench.runs.spec import RunSpec

NAME = "frozen.json"


class Frozen(Struct, frozen=True, kw_only=True):
    """frozen.json: a run and how to carry it out. Jobs start from this file, so later edits of a grid reach none.

    stage      only make the artifacts that the run prepares; the file's folder then holds state and log of that stage
    submitted  the code that submitted it
    """

    spec: RunSpec
    device: str | None
    threads: int
    metrics: str | None
    channels_last: bool
    checkpoint_seconds: float
    stage: bool
    submitted: Code
    compile: bool = False

    @classmethod
    def read(cls, path: Path) -> "Frozen":
        return read_typed(path, cls, "submit the sweep again")

    def changed_since(self) -> str | None:
        """What differs between the code that submitted the run and the code that runs it now."""
        now = this_code()
        if now.source_sha256 == self.submitted.source_sha256:
            return None
        return f"the source changed between submission ({self.submitted.commit}) and start ({now.commit})"


class Begun(Struct, frozen=True, kw_only=True):
    """config.json: the run, the data and the code with which it began; `submitted`: the code of its sweep."""

    spec: RunSpec
    manifest_sha256: str
    subset_sha256: str
    commit: str | None = None
    source_sha256: str | None = None
    submitted: Code | UnsetType = UNSET

    def same_data(self, other: "Begun") -> bool:
        facts = [(b.spec, b.manifest_sha256, b.subset_sha256) for b in (self, other)]
        return facts[0] == facts[1]


def this_code() -> Code:
    return Code(commit(), source_sha256())
