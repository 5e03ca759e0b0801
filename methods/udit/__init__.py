"""UDIT, unbiased diverse translation (Wang et al., "Controlling biases and diversity in diverse image-to-image
translation", CVIU 2021, arXiv 1907.09754; thesis of Yaxing Wang, chapter 5).

MUNIT with a semantic constraint. Where the classes of the two domains are biased (mostly men without, women with
make-up), a translator learns to change the class too. So a frozen network h, the judge, says what it sees of the
property that must stay, and lambda_U * |h(translation) - h(source)| (equation 5.3) joins the loss of both directions.
With semantic_weight=0 this is MUNIT.

The judge here is a classifier of the data set's classes, trained before (`judge=labels`), or a network of ImageNet
(`judge=effnet`). Departures: the thesis trains its classifiers on data from outside, and states neither the norm of
the constraint nor its weight: here the mean absolute difference, with weight 1. The networks are MUNIT's, as in the
first of the thesis's two variants; the second, with pooling indices, is not here. The authors' public code has no
semantic term at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Artifacts, Task, TaskData, Unfit, register, setting
from bench.methods.munit import MUNIT, MUNITConfig
from bench.methods.udit.judge import Classifier, EffNet, JudgeOptions, learn, load


@dataclass(frozen=True)
class UDITConfig(MUNITConfig):
    """UDIT's settings: MUNIT's, and those of the semantic constraint."""

    semantic_weight: float = setting(
        1.0, "weight of the semantic constraint, lambda_U of the thesis, which does not state it; 0: MUNIT"
    )
    judge: Literal["labels", "effnet"] = setting(
        "labels",
        "what must stay; labels: a classifier of the data set's classes, trained on the labelled training images; "
        "effnet: the last map of EfficientNet-Lite0, trained on ImageNet",
    )
    judge_channels: int = setting(
        16,
        "channels of the classifier's last map, D of the thesis: the smallest number that keeps its accuracy; there 16 "
        "for day and night, 8 for the colour of handbags, 32 for their texture",
        low=1,
    )
    judge_width: int = setting(64, "channels after the classifier's first conv", low=1)
    judge_steps: int = setting(2000, "iterations of the classifier's training, 64 images each", low=1)
    judge_lr: float = setting(1e-3, "learning rate of the classifier", above=0)
    judge_seed: int = setting(1234, "seed of the classifier's training, apart from the run's so that runs share it")


@register
class UDIT(MUNIT):
    """MUNIT that keeps what a frozen judge sees; many translations of one source."""

    name = "udit"
    paper = "Wang et al., Controlling Biases and Diversity in Diverse Image-to-Image Translation, CVIU 2021"
    year = 2021
    kind = "unpaired"
    needs = ("labels",)
    Config = UDITConfig
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 1,
            "budget_kimg": 8.0,
            "width": 16,
            "downs": 1,
            "style_downs": 3,
            "blocks": 2,
            "mlp_width": 64,
            "discriminator_downs": 3,
            "n_scales": 2,
            "cycle_weight": 10.0,
            "lr": 4e-4,
            "ema_decay": 0.998,
            "judge_width": 16,
            "judge_steps": 500,
        },
        "smoke": {
            "resolution": 32,
            "batch_size": 2,
            "budget_kimg": 0.02,
            "width": 4,
            "downs": 1,
            "style_downs": 2,
            "blocks": 1,
            "mlp_width": 8,
            "discriminator_downs": 2,
            "n_scales": 2,
            "judge_channels": 4,
            "judge_width": 4,
            "judge_steps": 2,
        },
    }

    config: UDITConfig

    def __init__(self, task: Task, config: UDITConfig) -> None:
        super().__init__(task, config)
        judge = EffNet() if config.judge == "effnet" else Classifier(task.channels, self._options)
        self.networks["judge"] = judge.requires_grad_(False)

    @classmethod
    def check(cls, task: Task, config: MUNITConfig, data: TaskData | None = None) -> None:
        super().check(task, config, data)
        assert isinstance(config, UDITConfig)
        if config.judge != "labels":
            return
        classes = task.n_labels
        if data is not None:
            seen = np.concatenate([data.source_train.labels, data.target_train.labels])
            classes = len(np.unique(seen[seen >= 0]))
        if classes < 2:
            raise Unfit("udit with judge=labels needs training images of two classes or more; set judge=effnet")
        if task.resolution < 16:
            raise Unfit(
                f"udit with judge=labels cannot halve images of {task.resolution} pixels three times; set judge=effnet "
                "or choose a resolution of 16 or more"
            )

    @property
    def _options(self) -> JudgeOptions:
        c = self.config
        return JudgeOptions(
            self.task.n_labels, c.judge_width, c.judge_channels, c.judge_steps, c.judge_lr, c.judge_seed
        )

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        judge = self.networks["judge"]
        if isinstance(judge, EffNet):
            judge.load()
        else:
            load(judge, learn(self._options, data, artifacts))

    def further_terms(
        self, sources: tuple[Tensor, Tensor], translations: tuple[Tensor, Tensor]
    ) -> Mapping[str, tuple[float, Tensor]]:
        if not self.config.semantic_weight:
            return {}
        both = semantic_distance(self.networks["judge"], torch.cat(sources), torch.cat(translations))
        return {"semantic": (self.config.semantic_weight, 2 * both)}  # two means over equally many images, summed


def semantic_distance(judge: nn.Module, sources: Tensor, translations: Tensor) -> Tensor:
    """mean |h(translation) - h(source)|, the constraint of equation 5.3; gradients reach the translations alone."""
    with torch.no_grad():
        wanted = judge(sources)
    return F.l1_loss(judge(translations), wanted)
