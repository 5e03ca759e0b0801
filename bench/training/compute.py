"""The one place for device, dtype, autocast, memory layout, pinned memory and threads."""

import ctypes
import gc
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from bench.core.errors import UserError
from bench.training.ranks import ALONE, Ranks, among_environment, join

_AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}
SHAPES = 64  # versions of one network that torch.compile makes before it gives up


@dataclass(frozen=True)
class Compute:
    """How tensors are placed and in which precision networks run.

    device         cpu, cuda or cuda:N
    amp            off, bf16 or fp16: the dtype of autocast; weights stay float32
    channels_last  NHWC memory layout; slower on CPU (measured), often faster on GPUs
    compile        torch.compile; changes the order of roundings, not the maths. For GPUs
    ranks          the processes that train together, of which this is one
    cuda_graphs    compiled networks start their kernels as CUDA graphs (torch.compile's mode reduce-overhead)
    recompute      activations are made again in the backward pass (bench.training.recompute)
    """

    device: torch.device
    amp: str = "off"
    channels_last: bool = False
    compile: bool = False
    ranks: Ranks = ALONE
    cuda_graphs: bool = False
    recompute: bool = False

    @classmethod
    def choose(
        cls,
        device: str | None = None,
        amp: str = "off",
        channels_last: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        recompute: bool = False,
    ) -> "Compute":
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
        if cuda_graphs and chosen.type == "cpu":
            raise UserError("--cuda-graphs needs a GPU; leave it out on the CPU")
        if chosen.type == "cuda":
            _settle()
        return cls(chosen, amp, channels_last, compile, cuda_graphs=cuda_graphs, recompute=recompute)

    def joined(self) -> "Compute":
        """The same beside the other processes of the run, each on a GPU of its own; this one where there are none."""
        place = among_environment()
        if place.count == 1:
            return self
        device = self.device
        if device.type == "cuda":
            if device.index is not None:
                raise UserError(f"--device {device} names one GPU for {place.count} processes; use --device cuda")
            local, there = int(os.environ.get("LOCAL_RANK", place.number)), torch.cuda.device_count()
            if local >= there:
                raise UserError(f"--gpus {place.count}: this machine shows {there} CUDA devices; ask for so many")
            device = torch.device("cuda", local)
            torch.cuda.set_device(device)  # where NCCL looks
        return replace(self, device=device, ranks=join(device))

    @property
    def alone(self) -> "Compute":
        """The same for what this process does without the others."""
        return replace(self, ranks=ALONE)

    @property
    def precision(self) -> dict[str, Any]:
        """What decides how numbers are rounded, for the record of a run."""
        on_gpu = self.device.type == "cuda"
        return {
            "amp": self.amp,
            "tf32": on_gpu and torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32,
            "cudnn_benchmark": on_gpu and torch.backends.cudnn.benchmark,
            "deterministic": not on_gpu or torch.backends.cudnn.deterministic,
        }

    @contextmanager
    def full_float32(self) -> Iterator[None]:
        """Switches TF32 off while something is measured: numbers of a GPU are then those of a CPU, but for the order of
        sums."""
        before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        try:
            yield
        finally:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before

    def autocast(self) -> AbstractContextManager:
        dtype = _AMP[self.amp]
        return autocast(self.device.type, dtype) if dtype else nullcontext()

    def compile_networks(self, networks: Mapping[str, nn.Module], but: Collection[str]) -> None:
        """torch.compile in place, so that the names of parameters stay; lazily, at the first pass. Methods also call
        parts of a network by themselves, so its children are compiled too.

        but  networks that stay as they are: torch.compile cannot differentiate a gradient again
        """
        if not self.compile:
            return
        _allow_shapes()
        mode = "reduce-overhead" if self.cuda_graphs else None
        for name, network in networks.items():
            for part in () if name in but else (network, *_called(network)):
                part.compile(dynamic=False, mode=mode)  # reflecting pads do not compile for sizes that are left open

    @contextmanager
    def passes(self) -> Iterator[None]:
        """What passes of the networks run in: autocast, and one line for a network that does not compile."""
        if self.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()  # what the last iteration's graphs wrote may be overwritten
        try:
            with self.autocast():
                yield
        except Exception as error:
            if not self.compile or not _of_compiler(error):
                raise
            line = next(iter(str(error).strip().splitlines()), "")
            switch = "--cuda-graphs" if "CUDAGraphs" in str(error) else "--compile"
            raise UserError(
                f"{switch}: torch.compile fails here ({type(error).__name__}: {line[:200]}); leave out {switch}"
            ) from error

    def scaler(self) -> torch.amp.GradScaler:
        """Loss scaling, which float16 alone needs."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp == "fp16")

    def tensor(self, array: np.ndarray) -> Tensor:
        return on_device(array, self.device)

    def images(self, pixels: np.ndarray) -> Tensor:
        """uint8 (N, C, H, W) on the host -> float32 in [-1, 1] on the device."""
        batch = self.tensor(pixels).to(torch.float32).div_(127.5).sub_(1.0)
        return batch.contiguous(memory_format=torch.channels_last) if self.channels_last else batch

    def peak_memory(self) -> int:
        """Bytes: the allocator's peak on a GPU, the process's peak resident size, libraries included, on the CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return peak_resident_bytes()

    @contextmanager
    def memory_growth(self) -> Iterator[list[int]]:
        """Bytes that the process held at most, up to the end, beyond what it held at the start; in the list at the end.

        On the CPU without pages of files: of the same libraries one file system maps 310 MB, tmpfs with huge pages 610.
        """
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)  # what was held earlier belongs to another stage
        start = torch.cuda.memory_allocated(self.device) if on_gpu else private_bytes()[0]
        growth: list[int] = []
        yield growth
        peak = torch.cuda.max_memory_allocated(self.device) if on_gpu else private_bytes()[1]
        growth.append(peak - start)


@dataclass(frozen=True)
class Surroundings:
    """What torch keeps for each thread, for another thread that shall compute alike: autocast, and counters."""

    kind: str
    dtype: torch.dtype | None  # of autocast; None: there is none
    modes: tuple[TorchDispatchMode, ...] = ()

    @classmethod
    def of_this_thread(cls, device: torch.device) -> "Surroundings":
        kind = device.type
        on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        return cls(kind, torch.get_autocast_dtype(kind) if on else None, tuple(_get_current_dispatch_mode_stack()))

    @contextmanager
    def entered(self) -> Iterator[None]:
        with ExitStack() as stack:
            for mode in self.modes:
                stack.enter_context(mode)
            if self.dtype:
                stack.enter_context(autocast(self.kind, self.dtype))
            yield


def autocast(kind: str, dtype: torch.dtype) -> AbstractContextManager:
    """Autocast without its cache, which would hold weights as they were before the last optimizer's step."""
    return torch.autocast(kind, dtype=dtype, cache_enabled=False)


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """The array as a tensor. To a GPU it goes from pinned memory, so that nobody waits for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _settle() -> None:
    """torch's switches for a GPU, which hold for the whole process; the one place that sets them.

    TF32, whose products have 10 bits of mantissa and sums of float32, for convolutions (as torch has it by default)
    and for matrix products alike. Sums in a fixed order, so that a run that was killed and started again equals one
    left alone (torch warns of an operation that has no such form); cuDNN's autotuning would choose kernels by the
    clock, so it stays off.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def peak_resident_bytes() -> int:
    """The largest memory that this process held. Linux's own count first: getrusage's includes the size of the process
    that started this one."""
    status = _status()
    if "VmHWM" in status:
        return status["VmHWM"]
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def private_bytes() -> tuple[int, int]:
    """Resident bytes of this process that are no pages of files: now, and at most so far. Where only the peak of all
    pages is known (not Linux), that twice."""
    status = _status()
    if not {"VmHWM", "RssAnon"} <= status.keys():
        return peak_resident_bytes(), peak_resident_bytes()
    return status["RssAnon"], status["VmHWM"] - status["RssFile"] - status["RssShmem"]


def _status() -> dict[str, int]:
    """The sizes in /proc/self/status, in bytes; empty where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}


def _called(network: nn.Module) -> Iterator[nn.Module]:
    """The children that have a forward; those of lists and dictionaries in place of these."""
    for child in network.children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from _called(child)
        else:
            yield child


def _of_compiler(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException

    known = "double backward", "CUDAGraphs"  # the latter: a step reads what a later replay has overwritten
    return isinstance(error, TorchDynamoException) or any(words in str(error) for words in known)


def _allow_shapes() -> None:
    """SHAPES versions of one network: batch sizes, training or not, gradients or not. torch before 2.6 has another name
    for the limit."""
    config: Any = torch._dynamo.config
    setattr(config, "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit", SHAPES)


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


def give_back_memory() -> None:
    """Hands freed blocks back to the system after all, where glibc keeps them: what comes next begins without them."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return  # another C library


def to_uint8(images: Tensor) -> np.ndarray:
    """Float (N, C, H, W) in [-1, 1] -> uint8 on the host: clipped, then rounded."""
    scaled = images.detach().float().clamp(-1, 1).add(1).mul(127.5).round()
    return scaled.to(torch.uint8).cpu().contiguous().numpy()
