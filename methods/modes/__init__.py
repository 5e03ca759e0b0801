"""Which class every training image belongs to: BalaGAN's mode finding, for every multi-class method.

`classes` is one of

    domain        two classes: the source and the target
    labels        the data set's labels in the source; the target is one more class
    modes:K       K clusters of the source in the space of a contrastive encoder; the target is one more class
    modes:auto    as the paper chooses K: the smallest for which the target is no smaller than a mean mode, |B| >= |A|/K
    vae-modes:K   as modes:K, in the space of a variational autoencoder (the paper's ablation "mVE")

With `target_modes` > 1 the target is clustered too (the paper's balanced setting).

A method's Config inherits Fields; it calls `counts` when it is built and `find` in prepare. Representations and
clusterings are artifacts: target sizes, seeds and methods share them wherever they depend on the same things.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench import Artifacts, Task, TaskData, Unfit, UserError, read_typed, setting, write_json
from bench.methods.modes import representation
from bench.methods.modes.kmeans import ITERATIONS, spherical_kmeans
from bench.methods.modes.views import TILES, Views

VERSION = 1  # of clusterings; raise it when the code below gives other classes


@dataclass(frozen=True)
class Fields:
    """What a Config needs to choose its classes. The encoder's fields also serve the variational autoencoder."""

    classes: str = setting(
        "modes:40",
        "classes of the training images: domain, labels, modes:K, modes:auto, vae-modes:K or vae-modes:auto; 40 modes "
        "are those of BalaGAN's dog -> wolf tables",
    )
    target_modes: int = setting(1, "clusters of the target", low=1)
    modes_seed: int = setting(
        1234, "seed of representation and clustering, apart from the run's, so that runs share them", high=2**63 - 1
    )
    encoder_images: Literal["both", "source"] = setting(
        "both",
        "what the encoder learns from; both (code): source and target, so that every target subset has an encoder of "
        "its own; source: the source alone, so that all target sizes share one",
    )
    encoder_views: Views = setting(
        "code", "the encoder's views; code: crop, flip, colour jitter, blur; paper: crop, flip, shuffled tiles"
    )
    encoder_width: int = setting(64, "channels of the first stage of the encoder's ResNet-18", low=1)
    encoder_batch: int = setting(
        256,
        "batch of the encoder; smaller where there are fewer images (the code then trains nothing, silently)",
        low=2,
    )
    encoder_epochs: int = setting(600, "epochs of the encoder", low=1)
    encoder_lr: float = setting(3e-4, "learning rate of the encoder", above=0)
    encoder_schedule: Literal["cosine", "code"] = setting(
        "cosine",
        "cosine: the encoder's rate falls to 0 at the last epoch, from epoch 10 on; code: the public code's period, as "
        "many epochs as there are images, so that the rate hardly moves",
    )
    unit_embeddings: bool = setting(
        False, "true: clustered points have length 1; false (code): their lengths weigh in the centroids"
    )

    def __post_init__(self) -> None:
        kind, _ = parse(self.classes)
        if self.target_modes > 1 and kind in ("domain", "labels"):
            raise UserError(
                f"target_modes={self.target_modes} with classes={self.classes}: only modes can be 2 or more"
            )


@dataclass(frozen=True)
class Classes:
    """Class ids of the training images, int64: the source's are 0 ... n_source - 1, the target's follow."""

    source: np.ndarray
    target: np.ndarray
    n_source: int
    n_target: int


class MultiClass:
    """A Method whose Config has Fields; `prepare` finds the classes, `check` refuses images that have none such."""

    config: Any
    classes: Classes | None = None

    @classmethod
    def check(cls, task: Task, config: Any, data: TaskData | None = None) -> None:
        check(config, task, data)

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        self.classes = find(self.config, data, artifacts)

    @property
    def class_ids(self) -> Classes:
        """`classes` once they are known. Raises RuntimeError before prepare."""
        if self.classes is None:
            raise RuntimeError("the classes are not known yet; call prepare first")
        return self.classes

    def target_classes(self, data: TaskData) -> np.ndarray:
        return self.class_ids.target

    def source_modes(self) -> np.ndarray | None:
        class_ids = self.class_ids
        return class_ids.source if class_ids.n_source > 1 else None


def parse(classes: str) -> tuple[str, int | None]:
    """ "modes:12" -> ("modes", 12), "modes:auto" -> ("modes", None), "labels" -> ("labels", None)."""
    kind, colon, count = classes.partition(":")
    if kind in ("domain", "labels") and not colon:
        return kind, None
    if kind in ("modes", "vae-modes") and (count == "auto" or (count.isdecimal() and int(count) > 0)):
        return kind, None if count == "auto" else int(count)
    raise UserError(
        f"classes={classes!r} is not one of domain, labels, modes:K, modes:auto, vae-modes:K, vae-modes:auto"
    )


def counts(fields: Fields, task: Task) -> tuple[int, int]:
    """Classes of the source and of the target, known before any image is seen."""
    kind, count = parse(fields.classes)
    if kind == "domain":
        return 1, 1
    if kind == "labels":
        if task.n_labels == 0:
            raise Unfit("classes=labels: this data set has no labels; choose modes:K or domain")
        return task.n_labels, 1
    divisor = 16 if kind == "vae-modes" else TILES if fields.encoder_views == "paper" else 1
    if task.resolution % divisor:
        raise Unfit(f"classes={fields.classes} needs a resolution divisible by {divisor}, not {task.resolution}")
    k = count or math.ceil(task.n_source / task.n_target)
    for domain, wanted, images in (("source", k, task.n_source), ("target", fields.target_modes, task.n_target)):
        if wanted > images:
            raise Unfit(
                f"{wanted} modes of the {domain} are not possible: it has {images} training images; choose fewer, or "
                "classes=domain"
            )
    return k, fields.target_modes


def check(fields: Fields, task: Task, data: TaskData | None) -> None:
    """Raises Unfit where these images cannot be put into such classes."""
    counts(fields, task)
    if data is None or parse(fields.classes)[0] != "labels":
        return
    unlabelled = int((data.source_train.labels < 0).sum())
    if unlabelled:
        raise Unfit(f"classes=labels: {unlabelled} source images have no label; choose modes:K or domain")


def find(fields: Fields, data: TaskData, artifacts: Artifacts) -> Classes:
    """The classes of the training images; trains the representation first where no artifact holds it."""
    kind, _ = parse(fields.classes)
    source, target = data.source_train, data.target_train
    task = Task(data.resolution, len(source), len(target), len(data.label_names))
    n_source, n_target = counts(fields, task)
    if kind == "domain":
        ids = np.zeros(len(source), np.int64)
    elif kind == "labels":
        ids = source.labels
        check(fields, task, data)
    else:
        ids, inner = _cluster(fields, data, artifacts, n_source)
        return Classes(ids, n_source + inner, n_source, n_target)
    return Classes(ids, np.full(len(target), n_source, np.int64), n_source, n_target)


def _cluster(fields: Fields, data: TaskData, artifacts: Artifacts, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster ids of source and target, both from 0 on."""
    kind, _ = parse(fields.classes)
    options = representation.EncoderOptions(
        model="vae" if kind == "vae-modes" else "contrastive",
        resolution=data.resolution,
        views=fields.encoder_views,
        width=fields.encoder_width,
        batch=fields.encoder_batch,
        epochs=fields.encoder_epochs,
        lr=fields.encoder_lr,
        schedule=fields.encoder_schedule,
        seed=fields.modes_seed,
        mirror=data.mirror,
    )
    learnt = representation.learn(options, data, fields.encoder_images == "both", artifacts)
    split_target = fields.target_modes > 1
    key = {
        "version": VERSION,
        "representation": read_typed(learnt / "key.json", dict[str, Any], f"delete {learnt}: it is then made again"),
        "modes": k,
        "target_modes": fields.target_modes,
        "target": representation.identity(data.target_train) if split_target else None,
        "seed": fields.modes_seed,
        "iterations": ITERATIONS,
        "unit": fields.unit_embeddings,
    }

    def build(folder: Path) -> None:
        parts = {"source": (np.load(learnt / "source.npy"), k)}
        if split_target:
            points = representation.embed(learnt, options, data.target_train, artifacts.loop)
            parts["target"] = (points, fields.target_modes)
        for name, (points, count) in parts.items():
            if fields.unit_embeddings:
                points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
            ids = spherical_kmeans(points, count, fields.modes_seed)
            np.save(folder / f"{name}.npy", ids)
            write_json(folder / f"{name}.json", {"sizes": np.bincount(ids, minlength=count).tolist()})

    folder = artifacts.make("modes", key, build)
    target = np.load(folder / "target.npy") if split_target else np.zeros(len(data.target_train), np.int64)
    return np.load(folder / "source.npy"), target
