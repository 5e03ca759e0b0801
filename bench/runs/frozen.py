"""What a run was before it had a record: frozen.json, as a sweep submitted it, and config.json, as it began."""

import json
from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from bench.core.provenance import commit
from bench.core.sources import source_sha256
from bench.core.text import names_in
from bench.core.typed import decode, read_typed
from bench.runs.record import Code, Conditions
from bench.runs.settings import RunSettings
from bench.runs.spec import RunSpec

NAME = "frozen.json"
MEND = "submit the sweep again"
BEFORE_SETTINGS = ("device", "threads", "channels_last", "checkpoint_seconds", "compile")


class Frozen(Struct, frozen=True, kw_only=True):
    """frozen.json: a run and how to carry it out. Jobs start from this file, so later edits of a grid reach none.

    stage      only make the artifacts that the run prepares; the file's folder then holds state and log of that stage
    submitted  the code that submitted it
    """

    spec: RunSpec
    settings: RunSettings
    submitted: Code
    stage: bool = False

    @classmethod
    def read(cls, path: Path) -> "Frozen":
        whole = read_typed(path, dict[str, Any], MEND)
        return decode(json.dumps(_upgraded(whole)).encode(), cls, path, MEND)

    def changed_since(self) -> str | None:
        """What differs between the code that submitted the run and the code that runs it now."""
        now = this_code(self.spec)
        if now.source_sha256 == self.submitted.source_sha256:
            return None
        return f"the source changed between submission ({self.submitted.commit}) and start ({now.commit})"


class Begun(Struct, frozen=True, kw_only=True):
    """config.json: the run, the data and the code with which it began; `submitted`: the code of its sweep.

    starts  the conditions of its starts, each once, in their order
    """

    spec: RunSpec
    manifest_sha256: str
    subset_sha256: str
    commit: str | None = None
    source_sha256: str | None = None
    submitted: Code | UnsetType = UNSET
    starts: list[Conditions] = []

    def same_data(self, other: "Begun") -> bool:
        facts = [(b.spec, b.manifest_sha256, b.subset_sha256) for b in (self, other)]
        return facts[0] == facts[1]


def this_code(spec: RunSpec) -> Code:
    """The code that this process would carry the run out with."""
    return Code(commit(), source_sha256(spec.trained_by, spec.dataset))


def _upgraded(whole: dict[str, Any]) -> dict[str, Any]:
    """A file from before the settings had a type: they stood beside the spec, the names of metrics in one text."""
    if "settings" in whole:
        return whole
    settings = {key: whole[key] for key in BEFORE_SETTINGS if key in whole}
    names = whole.get("metrics")
    if isinstance(names, str):
        names = list(names_in(names))
    settings["metrics"] = names
    return {**{key: whole[key] for key in ("spec", "submitted", "stage") if key in whole}, "settings": settings}
