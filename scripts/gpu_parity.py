"""Training that goes on after a stop, an iteration on CPU and GPU: stages resume, parity, rounding of gpu_check.py."""

import os
from contextlib import contextmanager

from gpu_parts import build, config_of, data_of, flags, stepper


def resume(name, a, out):
    """Four steps in one go against two, a checkpoint on disk, a fresh method and two more: on the device."""
    import torch

    from bench.core.registry import find
    from bench.training import checkpoint
    from bench.training.compute import Compute

    compute = Compute.choose(a.device)
    flags()
    cls = find("methods", name).load()
    config = config_of(cls, "smoke")
    data = data_of(config, True, "pairs" in cls.needs)
    folder = out / "resume" / name

    def params(m):
        return [p.detach().float().cpu() for net in m.modules() for p in net.parameters()]

    whole = build(name, config, data, compute)
    _, step = stepper(whole, data, compute)
    for t in range(2):
        step(t)
    path = checkpoint.save(folder, 2, {"state": whole.state_dict()})
    for t in range(2, 4):
        step(t)
    again = build(name, config, data, compute)
    payload = checkpoint.load_latest(folder, print)
    path.unlink()
    again.load_state_dict(payload["state"])
    _, step = stepper(again, data, compute)
    for t in range(2, 4):
        step(t)
    pairs = list(zip(params(whole), params(again)))
    worst = max(float((x - y).abs().max()) for x, y in pairs)
    return {"equal": all(torch.equal(x, y) for x, y in pairs), "worst": worst}


def parity(name, a, rounding=False):
    """One train step on the CPU and on the device: same weights, batch and noise, no TF32; a small batch.

    With `rounding` it is the CPU twice, the second time without oneDNN, whose kernels sum in another order: so much
    rounding alone changes.
    """
    import torch

    from bench.core.registry import find
    from bench.training.compute import Compute
    from bench.training.sampler import Batch

    torch.set_num_threads(max(1, min(16, os.cpu_count() or 1)) if not a.tiny else 1)
    cls = find("methods", name).load()
    config = parity_config(cls, a.tiny)
    data = data_of(config, True, "pairs" in cls.needs)
    sides, batch_error = {}, 0.0
    places = {"cpu": Compute.choose("cpu"), "device": Compute.choose("cpu" if rounding else a.device)}
    flags(tf32=False)  # after the choice of a GPU, which switches TF32 on
    first = None
    for place, compute in places.items():
        method = build(name, config, data, compute, cpu_noise=True)
        sampler, step = stepper(method, data, compute)
        batch = sampler.batch(0)
        if first is None:
            first = batch
        else:
            for k, b in batch.items():
                batch_error = max(batch_error, float((b.image.cpu() - first[k].image).abs().max()))
            d = compute.device
            batch = {k: Batch(b.image.to(d), b.label.to(d), b.index.to(d)) for k, b in first.items()}
        with noise_from_the_cpu(), torch.backends.mkldnn.flags(enabled=place == "cpu" or not rounding):
            losses = step(0, batch)
        sides[place] = {k: float(v) for k, v in losses.items()}, gradients(method)
        method = None
    torch.set_num_threads(1)
    (cpu, cg), (dev, dg) = sides["cpu"], sides["device"]
    errors = {k: abs(dev[k] - v) / max(abs(v), 1e-3) for k, v in cpu.items()}
    grads = {
        n: float((dg[n] - g).norm() / max(float(g.norm()), 1e-12)) for n, g in cg.items() if dg[n].shape == g.shape
    }
    return {
        "loss_error": float(f"{max(errors.values()):.2e}"),
        "worst_loss": max(errors, key=errors.get),
        "grad_error": float(f"{max(grads.values()):.2e}"),
        "grads": {k: float(f"{v:.2e}") for k, v in grads.items()},
        "batch_error": float(f"{batch_error:.2e}"),
    }


def parity_config(cls, tiny):
    """The paper's preset with one small batch an iteration, as far as the method's Config has the field."""
    over = {"batch_size": 2}
    over |= {field: 1 for field in ("accumulations", "replicas", "critic_steps") if hasattr(cls.Config, field)}
    return config_of(cls, "smoke" if tiny else "paper", **over)


@contextmanager
def noise_from_the_cpu():
    """While entered, torch's random functions draw on the CPU, so that every device gets the same numbers."""
    import torch

    def on_cpu(function):
        def draw(*args, generator=None, device=None, **k):
            return function(*args, generator=generator, **k).to(device or "cpu")

        return draw

    originals = {k: getattr(torch, k) for k in ("randn", "rand", "randint", "randperm")}
    try:
        for k, f in originals.items():
            setattr(torch, k, on_cpu(f))
        yield
    finally:
        for k, f in originals.items():
            setattr(torch, k, f)


def gradients(method):
    """All gradients of each network in one vector, float64 on the CPU."""
    import torch

    return {
        n: torch.cat(
            [p.grad.flatten().double().cpu() for p in net.parameters() if p.grad is not None] or [torch.zeros(1)]
        )
        for n, net in method.networks.items()
    }
