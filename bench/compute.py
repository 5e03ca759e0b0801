"""The one place for device, dtype, autocast, memory layout, pinned memory and threads."""

import ctypes
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.errors import UserError

_AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """How tensors are placed and in which precision networks run.

    device         cpu, cuda or cuda:N
    amp            off, bf16 or fp16: the dtype of autocast; weights stay float32
    channels_last  NHWC memory layout; slower on CPU (measured), often faster on GPUs
    """

    device: torch.device
    amp: str = "off"
    channels_last: bool = False

    @classmethod
    def choose(cls, device: str | None = None, amp: str = "off", channels_last: bool = False) -> "Compute":
        """The named device, or CUDA where there is one, else the CPU."""
        if amp not in _AMP:
            raise UserError(f"unknown --amp {amp!r}; choose off, bf16 or fp16")
        name = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            chosen = torch.device(name)
        except RuntimeError:
            raise UserError(f"unknown --device {name!r}; choose cpu, cuda or cuda:N") from None
        if chosen.type not in ("cpu", "cuda"):
            raise UserError(f"--device {name} is not supported; choose cpu, cuda or cuda:N")
        if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
            raise UserError(
                f"--device {name}: this machine shows {torch.cuda.device_count()} CUDA devices; use --device cpu"
            )
        if amp == "fp16" and chosen.type == "cpu":
            raise UserError("--amp fp16 needs a GPU; use --amp bf16 or off on the CPU")
        return cls(chosen, amp, channels_last)

    def autocast(self) -> AbstractContextManager:
        dtype = _AMP[self.amp]
        return torch.autocast(self.device.type, dtype=dtype) if dtype else nullcontext()

    def scaler(self) -> torch.amp.GradScaler:
        """Loss scaling, which float16 alone needs."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp == "fp16")

    def images(self, pixels: np.ndarray) -> Tensor:
        """uint8 (N, C, H, W) on the host -> float32 in [-1, 1] on the device."""
        batch = torch.from_numpy(np.ascontiguousarray(pixels))
        if self.device.type == "cuda":
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        batch = batch.to(torch.float32).div_(127.5).sub_(1.0)
        return batch.contiguous(memory_format=torch.channels_last) if self.channels_last else batch

    def peak_memory(self) -> int:
        """Bytes: the allocator's peak on a GPU, the process's peak resident size on the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def keep_freed_memory() -> None:
    """Tells glibc to keep freed blocks instead of handing each large one back to the system.

    A forward pass frees and asks again for the same few blocks of 30 MB and more; fetching their pages anew each time
    took half of the time of EfficientNet-Lite0 on a CPU (64 images: 1.66 s before, 0.99 s after, one thread).
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return  # another C library
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 1 << 30)
    mallopt(top_pad, 64 << 20)


def to_uint8(images: Tensor) -> np.ndarray:
    """Float (N, C, H, W) in [-1, 1] -> uint8 on the host: clipped, then rounded."""
    scaled = images.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.to(torch.uint8).cpu().contiguous().numpy()
