"""What makes one run that run, and where it lies."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from bench.core.files import digest
from bench.core.typed import Count, Size

Amp = Annotated[str, Meta(pattern="^(off|bf16|fp16)$")]


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides the result of a run; two equal specs are the same run.

    method   a registered method, an anchor row, or the name given to `bench evaluate`
    kind     method, anchor or external
    config   the fields of the method's Config; empty for the other kinds
    budget_tflop  10^12 floating-point operations that the run may spend, preparation included; the config then has no
             budget_kimg. None: it trains on the config's images

    The bounds hold where a file is read (frozen.json, config.json, translator.json).
    """

    method: str
    dataset: str
    target_size: Size
    resolution: Size
    seed: Count = 0
    subset_seed: Count = 0
    kind: Annotated[str, Meta(pattern="^(method|anchor|external)$")] = "method"
    preset: str = ""
    config: dict[str, Any] | None = None
    amp: Amp = "off"
    budget_tflop: Annotated[float, Meta(gt=0)] | None = None

    @property
    def config_hash(self) -> str:
        """The first 10 hex digits of the sha256 over everything but the name of the preset; over a budget of compute
        where there is one, so that other runs keep the names that they had before there were such budgets."""
        values = dict(vars(self))
        values.pop("preset")
        if self.budget_tflop is None:
            values.pop("budget_tflop")
        return digest(values)[:10]

    @property
    def trained_by(self) -> str | None:
        """The registered method that the run trains; None for an anchor row and for another program."""
        return self.method if self.kind == "method" else None

    def folder(self, results: Path) -> Path:
        """results/runs/<dataset>/<target size>/<method>/<seed>-<config hash>"""
        name = f"{self.seed}-{self.config_hash}"
        return results / "runs" / slug(self.dataset) / str(self.target_size) / slug(self.method) / name


def slug(name: str) -> str:
    """A folder name for any text; texts that differ get names that differ."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    if plain and plain == name:
        return plain
    tail = plain[-40:].strip("-.")
    return f"{tail}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
