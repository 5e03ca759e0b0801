"""One iteration of every method, and of the loops that the papers' code runs beside it (recipes.py).

pytest tests/benchmarks/test_method_speed.py --benchmark-enable -n 0 -s. Disabled, all runs once on tiny networks.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from recipes import RECIPES
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.core.registry import entries
from bench.methods.nn import kernels, resampling
from bench.testing import Case
from bench.training.method import Method

METHODS = list(entries("methods"))
ROUNDS = 2
NO_SLOWER = 0.95  # measured ratios vary by a few per cent
PAPER: dict[str, dict[str, Any]] = {  # what only pre-training or files would give; the iteration is the same
    "balagan": {"encoder_epochs": 1, "encoder_width": 4, "encoder_batch": 4},
    "deepi2i": {"pretrained": "none", "accumulations": 1},
    "minegan": {"pretrained": False},
    "transfergan": {"pretrained": False},
    "uvcgan2": {"pretrained": False},
    "nicegan": {"layers": 6},  # 64 pixels are too few for the paper's 7 layers
    "ugatit": {"global_layers": 0},  # and here for the global discriminator
    "mnm-zero-pair": {"rgb_init": "random", "stage1_share": 0.0, "stage2_share": 1.0},  # the second stage
}
SMOKE: dict[str, dict[str, Any]] = {
    "deepi2i": {"accumulations": 1},  # one batch, as in its recipe
    "ugatit": {"cam_weight": 10.0},  # with 1000 plain descent throws the weights so far that roundings show
}
RATE = {
    "cut": 1e-6,
    "unsb": 1e-6,
}  # their gradients over untrained features are so large that 1e-3 would show roundings only
CPU_PRESET: dict[str, dict[str, Any]] = {
    "balagan": {"encoder_epochs": 1},
    "deepi2i": {"pretrained": "none"},
    "minegan": {"pretrained": False},
    "transfergan": {"pretrained": False},
    "uvcgan2": {"pretrained": False},
}


def case(name: str, preset: str, folder: Path, **settings: Any) -> Case:
    cls = entries("methods")[name].load()
    values = {**cls.presets[preset], **settings}
    quiet = type(cls.__name__, (cls,), {"presets": {"smoke": values}})
    return Case(quiet, folder, {}, n_source=60, n_target=20)


def paper(name: str, folder: Path, enabled: bool) -> Case:
    """The preset paper at 64 pixels, batch 2; the smallest networks where nothing is timed."""
    if not enabled:
        return case(name, "smoke", folder, **{"batch_size": 2, **SMOKE.get(name, {})})
    return case(name, "paper", folder, **{"resolution": 64, "batch_size": 2, **PAPER.get(name, {})})


@pytest.mark.parametrize("name", METHODS)
def test_paper_iteration(benchmark: Any, name: str, tmp_path: Path) -> None:
    made = paper(name, tmp_path, benchmark.enabled)
    batch = made.sampler.batch(0)
    benchmark.pedantic(made.method.train_step, (batch,), rounds=2 if benchmark.enabled else 1)
    gc.collect()


@pytest.mark.parametrize("name", METHODS)
def test_cpu_images_a_second(benchmark: Any, name: str, tmp_path: Path) -> None:
    made = case(name, "cpu" if benchmark.enabled else "smoke", tmp_path, **CPU_PRESET.get(name, {}))
    steps = iter(range(1000))
    benchmark.pedantic(
        lambda: made.train(first := next(steps), first + 1),
        rounds=8 if benchmark.enabled else 1,
        warmup_rounds=int(benchmark.enabled),
    )
    if benchmark.enabled:
        rate = made.method.images_per_step / benchmark.stats.stats.median
        benchmark.extra_info["images_per_second"] = round(rate, 1)
        print(f"\n{name} cpu preset: {rate:.0f} images/s")


@pytest.mark.parametrize("name", list(RECIPES))
def test_same_weights_as_the_published_loop(name: str, tmp_path: Path) -> None:
    """Plain gradient descent, so that weights show gradients, where Adam would show their signs; two iterations."""
    ours, theirs = (case(name, "smoke", tmp_path, **SMOKE.get(name, {})) for _ in range(2))
    start = ours.parameters()
    for made in (ours, theirs):
        for key, optimizer in made.method.optimizers.items():
            made.method.optimizers[key] = torch.optim.SGD(optimizer.param_groups[0]["params"], RATE.get(name, 1e-3))
    for step in range(2):
        ours.method.train_step(ours.sampler.batch(step))
        RECIPES[name](theirs.method, theirs.sampler.batch(step))  # type: ignore[operator]
    expected = theirs.parameters()
    moved = 0.0
    for key, value in ours.parameters().items():
        assert torch.allclose(value, expected[key], atol=1e-5, rtol=1e-5), key
        moved = max(moved, float((value - start[key]).abs().max()))
    assert moved > 1e-4


def as_published(method: Method) -> None:
    """The optimizers as one writes them: not fused."""
    for key, optimizer in method.optimizers.items():
        values = {k: v for k, v in optimizer.defaults.items() if k in ("lr", "betas", "eps", "alpha", "weight_decay")}
        kind = torch.optim.RMSprop if isinstance(optimizer, torch.optim.RMSprop) else type(optimizer)
        method.optimizers[key] = kind(optimizer.param_groups[0]["params"], **values)


@contextmanager
def torchs_kernels() -> Iterator[None]:
    """Convs, norms and resampling as one writes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "FEWEST_PIXELS", 1 << 60)
        patch.setattr(kernels, "FEW_POSITIONS", 0)
        patch.setattr(kernels, "_plain", lambda x: False)
        yield


def seconds(run: Callable[[], Any]) -> float:
    """Of the processor: other work on the machine does not count."""
    start = time.process_time()
    run()
    return time.process_time() - start


class Flops(TorchDispatchMode):
    """Multiplications of convolutions and products, forth and back (FlopCounterMode fails on second derivatives)."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


def flops(run: Callable[[], Any]) -> int:
    with Flops() as counter:
        run()
    return counter.total


@pytest.mark.parametrize("name", list(RECIPES))
def test_an_iteration_beside_the_published_loop(benchmark: Any, name: str, tmp_path: Path) -> None:
    """In turns on one machine, so that other work hits both."""
    made, other = (paper(name, tmp_path, benchmark.enabled) for _ in range(2))
    as_published(other.method)
    batch, recipe = made.sampler.batch(0), RECIPES[name]

    def ours() -> None:
        made.method.train_step(batch)

    def theirs() -> None:
        with torchs_kernels():
            recipe(other.method, batch)  # type: ignore[operator]

    counted = flops(ours) / flops(theirs)
    assert counted <= 1.001  # cyclegan has as many: its code saves what can be saved
    times: list[float] = []
    own: list[float] = []
    for _ in range(ROUNDS if benchmark.enabled else 0):
        times.append(seconds(theirs))
        own.append(seconds(ours))
    benchmark.pedantic(ours, rounds=1)
    if benchmark.enabled:
        ratio = min(times) / min(own)
        benchmark.extra_info |= {"times_faster": round(ratio, 2), "flops": round(counted, 3)}
        print(f"\n{name}: {ratio:.2f} times as fast as the published loop ({1 / counted:.2f} by multiplications)")
        assert ratio > NO_SLOWER
    gc.collect()
