"""A device that every machine has: `meta` tensors have shapes and no values, so whoever fetches a value fails."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import optimizer as torch_optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from bench.testing import Case
from bench.training.method import Method
from bench.training.sampler import Batch

META = torch.device("meta")
VIEWS = """_reshape_alias _unsafe_view alias as_strided chunk detach diagonal empty empty_like empty_permuted
empty_strided expand is_same_size lift_fresh narrow new_empty new_empty_strided permute reshape select slice split
split_with_sizes squeeze t transpose unbind unfold unsqueeze view"""  # and allocations: they start no kernel


@contextmanager
def as_a_gpu() -> Iterator[None]:
    """What torch refuses on `meta` and has on GPUs: fused optimizers (whose functions know `meta`), generators of the
    device (here those of the CPU) and autocast (here none)."""
    allowed, generator, autocast = (
        torch_optimizer._get_fused_kernels_supported_devices,
        torch.Generator,
        torch.autocast,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_optimizer, "_get_fused_kernels_supported_devices", lambda: [*allowed(), "meta"])
        patch.setattr(torch, "Generator", lambda device=None: generator())
        patch.setattr(torch, "autocast", lambda kind, **k: nullcontext() if kind == "meta" else autocast(kind, **k))
        yield


class Bfloat16(TorchFunctionMode):
    """What autocast to bfloat16 does on a GPU, which `meta` has not: products in bfloat16, losses and softmax in
    float32. Networks then see both types, as they do there."""

    products = (
        *(torch.conv1d, torch.conv2d, torch.conv_transpose2d, F.linear, torch.einsum, torch.bmm, torch.mm, torch.addmm),
        *(torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__, Tensor.bmm),
    )
    exact = (F.softmax, torch.softmax, Tensor.softmax, F.log_softmax, F.mse_loss, F.l1_loss, F.smooth_l1_loss)
    exact += (F.cross_entropy, F.nll_loss, F.binary_cross_entropy_with_logits, F.group_norm, F.layer_norm)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        dtype = torch.bfloat16 if func in self.products else torch.float32 if func in self.exact else None
        if dtype is not None:
            args, kwargs = tree_map(lambda x: _cast(x, dtype), (args, kwargs))
        return func(*args, **(kwargs or {}))


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def precision(amp: str) -> AbstractContextManager[Any]:
    return Bfloat16() if amp == "bf16" else nullcontext()


def moved(case: Case) -> Method:
    """The case's method on `meta`, as `Method.to` moves it to a GPU: optimizers keep their parameters."""
    method = case.method
    places: dict[int, Any] = {}
    before = [(network, list(network.parameters())) for network in method.modules()]
    with as_a_gpu():
        method.to(META)
    for network, parameters in before:
        places |= {id(old): new for old, new in zip(parameters, network.parameters())}
    for optimizer in method.optimizers.values():
        for group in optimizer.param_groups:
            group["params"] = [places.get(id(p), p) for p in group["params"]]
    return method


def batch_of(case: Case, step: int = 0) -> dict[str, Batch]:
    drawn = case.sampler.batch(step).items()
    return {name: Batch(b.image.to(META), b.label.to(META), b.index.to(META)) for name, b in drawn}


class Kernels(TorchDispatchMode):
    """Counts operations that start a kernel on a GPU: all but views and allocations. One that starts several counts
    once."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ not in VIEWS.split()
        return func(*args, **(kwargs or {}))


def kernels_of_a_step(method: Method, batch: dict[str, Batch]) -> int:
    """Of the second step: in the first one optimizers make their state."""
    with as_a_gpu():
        method.train_step(batch)
        with Kernels() as counted:
            method.train_step(batch)
    return counted.count


def on_device(values: dict[str, Tensor]) -> set[str]:
    return {value.device.type for value in values.values()}


def case_of(cls: type[Method], folder: Path, **settings: Any) -> Case:
    return Case(cls, folder, settings)
