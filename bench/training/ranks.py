"""The processes of one run that train together, each on a part of every batch: data parallel, on one GPU each.

They are started by `bench run --gpus N` or by torchrun, whose environment variables both use. All hold equal weights,
optimizers and random numbers, so any of them could go on alone; rank 0 writes what the run leaves.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(days=7)  # of processes that wait for rank 0; where one dies its launcher ends the others


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; one alone, or `count` of a group of torch.distributed."""

    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.number == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Sets each tensor to the mean over the processes, in one message for each dtype."""
        if self.count == 1:
            return
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in alike])
            dist.all_reduce(flat)
            flat /= self.count
            for tensor, mean in zip(alike, flat.split([tensor.numel() for tensor in alike])):
                tensor.copy_(mean.view_as(tensor))

    def gather(self, part: Tensor) -> Tensor:
        """The rows of all processes, in their order."""
        if self.count == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.count)]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Tells, for each flag, whether any process has set it. Waits for no GPU."""
        if self.count == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(raised, dist.ReduceOp.MAX, group=_on_hosts())
        return tuple(bool(flag) for flag in raised.tolist())

    def told(self, value: int) -> int:
        """The value that rank 0 has, in every process."""
        if self.count == 1:
            return value
        shared = torch.tensor(value)
        dist.broadcast(shared, 0, group=_on_hosts())
        return int(shared)


ALONE = Ranks()


def among_environment() -> Ranks:
    """The place of this process as its environment says, without joining the others."""
    return Ranks(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


def join(device: torch.device) -> Ranks:
    """Joins the processes that the environment names; tensors go over NCCL on GPUs, over gloo on CPUs."""
    ranks = among_environment()
    if ranks.count > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        _on_hosts()
    return ranks


@cache
def _on_hosts() -> dist.ProcessGroup:
    """The group for what lies on the CPU."""
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    assert isinstance(group, dist.ProcessGroup)  # all processes are in it
    return group
