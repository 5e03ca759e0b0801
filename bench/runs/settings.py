"""Where and how a run is carried out; none of this decides its result."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UserError
from bench.core.files import writable_folder

if TYPE_CHECKING:
    from bench.runs.lifecycle import Options
    from bench.training.compute import Compute


@dataclass(frozen=True)
class Machine:
    """As typed."""

    results: Path
    device: str | None
    threads: int
    metrics: str | None
    channels_last: bool = False
    checkpoint_seconds: float = 60.0
    compile: bool = False

    def compute(self, amp: str) -> "Compute":
        """The device, with its threads set."""
        import torch

        from bench.training.compute import Compute, keep_freed_memory

        if self.threads < 1:
            raise UserError(f"--threads {self.threads}: at least 1")
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        return Compute.choose(self.device, amp, self.channels_last, self.compile)

    def options(self, compute: "Compute", metrics: tuple[str, ...] | None) -> "Options":
        from bench.runs import lifecycle as runner

        results = writable_folder(self.results, "results folder")
        return runner.Options(results, compute, self.threads, metrics, self.checkpoint_seconds)
