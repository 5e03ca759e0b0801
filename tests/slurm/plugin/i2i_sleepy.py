"""`sleepy`: a method that learns a colour shift, slowly, and writes down every step that it takes.

Each step is one line of $SLEEPY_LOG/steps/<target size>-<run>.jsonl, appended and never rewritten, so that what a
cluster did to a run can be read afterwards: which process took which step, in which job, with which GPU. A run whose
file $SLEEPY_LOG/broken-<target size> exists raises an error at its third step. Each step sleeps $SLEEPY_SECONDS.
"""

import json
import os
import time
from pathlib import Path

import torch
from torch import nn

from bench.core.ownership import job_id
from bench.core.registry import register
from bench.training import method
from bench.training.sampler import Stream


@register
class Sleepy(method.Method):
    """A colour shift that takes its time."""

    name = "sleepy"
    paper = "none"
    Config = method.Config
    presets = {"paper": {}, "cpu": {"resolution": 32, "batch_size": 4, "budget_kimg": 0.4}}

    def __init__(self, task: method.Task, config: method.Config) -> None:
        super().__init__(task, config)
        self.run = f"{task.n_target}-{torch.initial_seed() % 10**6:06}"
        self.networks["G"] = nn.Conv2d(3, 3, 1)
        self.optimizers["G"] = torch.optim.Adam(self.networks["G"].parameters(), 1e-2)
        self.memory["steps"] = self.steps = Steps()

    def streams(self, data):
        return {"source": Stream("source", 4), "target": Stream("target", 4, "uniform")}

    def train_step(self, batch):
        self._write_down()
        time.sleep(float(os.environ.get("SLEEPY_SECONDS", "0")))
        gap = self.networks["G"](batch["source"].image).mean((2, 3)) - batch["target"].image.mean((2, 3))
        loss = gap.square().mean() * (1 + torch.rand((), generator=self.rng))
        self.minimise("G", loss)
        self.steps.done += 1
        return {"gap": loss.detach()}

    def translate(self, source, reference=None, rng=None, label=None):
        return self.networks["G"](source)

    def _write_down(self) -> None:
        log = Path(os.environ["SLEEPY_LOG"])
        (log / "steps").mkdir(parents=True, exist_ok=True)
        line = {
            "step": self.steps.done,
            "pid": os.getpid(),
            "time": time.time(),
            "job": job_id(),
            "node": os.environ.get("SLURMD_NODENAME"),
            "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "said": os.environ.get("SLEEPY_SAID"),
            "also": os.environ.get("SLEEPY_ALSO"),
        }
        with (log / "steps" / f"{self.run}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.steps.done == 2 and (log / f"broken-{self.task.n_target}").exists():
            raise RuntimeError(f"broken-{self.task.n_target} is there")


class Steps:
    """How many steps a run has behind it, over all its processes."""

    def __init__(self) -> None:
        self.done = 0

    def state_dict(self) -> dict:
        return {"done": self.done}

    def load_state_dict(self, state: dict) -> None:
        self.done = state["done"]
