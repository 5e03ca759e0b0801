"""How a run is carried out. None of this chooses what is computed; some of it changes the order of roundings."""

import os
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from bench.core.errors import UserError
from bench.runs.loggers import check_names

if TYPE_CHECKING:
    from bench.training.compute import Compute

MOST = 1024  # threads, or processes of one run: far more end the program without a word


class RunSettings(msgspec.Struct, frozen=True):
    """The settings of one run beside its RunSpec, which says what is computed.

    The descriptions are the help texts of the command line. `metrics` holds names of metrics, None stands for those
    of every run; `log` holds names of loggers. Raises UserError for values that make no sense.
    """

    device: Annotated[str | None, Meta(description="cpu, cuda or cuda:N; by default a GPU where there is one.")] = None
    threads: Annotated[int, Meta(description="CPU threads; two runs of one thread each beat one run of two.")] = 1
    metrics: Annotated[
        tuple[str, ...] | None, Meta(description="Comma-separated names, or none; by default those of every run.")
    ] = None
    compile: Annotated[bool, Meta(description="Compile the networks with torch.compile, for GPUs.")] = False
    channels_last: Annotated[bool, Meta(description="Keep images in NHWC layout, for GPUs.")] = False
    checkpoint_seconds: Annotated[float, Meta(description="Least time between two checkpoints.")] = 60.0
    log: Annotated[
        tuple[str, ...] | None,
        Meta(description="Comma-separated live loggers: tensorboard, wandb (offline), mlflow; by default none."),
    ] = None
    validate_every: Annotated[
        float | None, Meta(description="Measure training images after every so many thousand source images.")
    ] = None
    gpus: Annotated[
        int, Meta(description="GPUs of one run, each with a part of every batch; on a CPU as many processes.")
    ] = 1
    accumulate: Annotated[
        int, Meta(description="Parts of a batch that a process takes one after another, for less memory.")
    ] = 1
    cuda_graphs: Annotated[
        bool, Meta(description="Start the kernels of compiled networks as CUDA graphs; goes with --compile.")
    ] = False
    recompute: Annotated[
        bool, Meta(description="Make activations again in the backward pass: less memory, more arithmetic.")
    ] = False

    def __post_init__(self) -> None:
        for name in ("threads", "gpus", "accumulate"):
            if not 1 <= getattr(self, name) <= MOST:
                raise UserError(f"--{name} {getattr(self, name)}: at least 1 and at most {MOST}")
        if self.compile and self.accumulate > 1:
            raise UserError("--compile and --accumulate do not go together; leave one of them out")
        if self.compile and self.recompute:
            raise UserError("--compile and --recompute do not go together; leave one of them out")
        if self.cuda_graphs and not self.compile:
            raise UserError("--cuda-graphs goes with --compile; add --compile, or leave it out")
        if not self.checkpoint_seconds >= 0:
            raise UserError(f"--checkpoint-seconds {self.checkpoint_seconds}: at least 0")
        if self.validate_every is not None and not 0 < self.validate_every < 10**9:
            raise UserError(f"--validate-every {self.validate_every}: thousands of images, above 0")
        check_names(self.log or ())

    @property
    def parts(self) -> int:
        """Of a batch, over all processes and turns."""
        return self.accumulate * max(self.gpus, int(os.environ.get("WORLD_SIZE", 1)))

    def compute(self, amp: str) -> "Compute":
        """The device as torch has it, with the number of threads set for the whole process."""
        import torch

        from bench.training.compute import Compute, keep_freed_memory
        from bench.training.ranks import among_environment

        torch.set_num_threads(self.threads)
        keep_freed_memory()
        count = among_environment().count
        if self.gpus not in (1, count):
            raise UserError(f"--gpus {self.gpus}: from a script start it as torchrun --nproc-per-node {self.gpus} ...")
        switches = self.channels_last, self.compile, self.cuda_graphs, self.recompute
        return Compute.choose(self.device, amp, *switches).joined()
