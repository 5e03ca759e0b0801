"""What a small set means, said before anything is trained: what is held out, and which metrics it is too small for."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench.data.task import TaskData
from bench.metrics.data import Images, Reference, TooFew
from bench.metrics.foresee import foresee
from bench.runs.measure import reference_of
from bench.runs.outputs import outputs_of

SMALL = 50  # held-out images of a domain: with fewer a share is known to +-14 % or worse (Wilson's interval)
MOST = 500  # images of a set that are looked at


def explain_small(data: TaskData, metrics: Sequence[str] | None = None) -> str | None:
    """One paragraph where fewer than SMALL images of a domain are held out, else None.

    metrics  the metrics that will be measured, by name; None stands for those of every run
    """
    source, target = len(data.source_test), len(data.target_test)
    if min(source, target) >= SMALL:
        return None
    few, other = lacking(data, metrics)
    sentences = [
        f"small sets: {_count(len(data.source_train), 'source')} to train on and {source} held out, "
        f"{_count(len(data.target_train), 'target')} to train on and {target} held out",
        "Numbers from so few images are rough: look at their intervals",
    ]
    if few:
        lists = (f"{', '.join(names)} ({reason})" for reason, names in few.items())
        sentences.append(f"Too few images (n/a) for {'; '.join(lists)}")
    if other:
        counts = (f"{len(names)} ({reason})" for reason, names in other.items())
        sentences.append(f"Metrics that these data do not have, however many images: {'; '.join(counts)}")
    if data.dataset.startswith("folder:"):
        sentences.append("--held-out N holds out another number of images")
    return ". ".join(sentences) + "."


def lacking(data: TaskData, metrics: Sequence[str] | None = None) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Reason -> the metrics that will have no value for it, whatever is trained: too few images, and other reasons."""
    few, other = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    data = _thinned(data)
    images = data.source_test.images()
    stand_in = outputs_of(
        data,
        {
            "images": images,
            "diverse": np.repeat(images[:2, None], 2, axis=1),
            "returned": images,
            "backward": data.target_test.images(),
            "alignment": np.zeros(2),
        },
    )
    for name, reason in foresee(stand_in, _thin_reference(reference_of(data)), metrics).items():
        (few if isinstance(reason, TooFew) else other)[str(reason)].append(name)
    return dict(few), dict(other)


def _thinned(data: TaskData) -> TaskData:
    """The same with at most MOST held-out images of each domain, so that a look at them takes no time."""
    source, target = (_evenly(len(domain)) for domain in (data.source_test, data.target_test))
    place = {int(row): i for i, row in enumerate(target)}
    return replace(
        data,
        source_test=replace(data.source_test, rows=data.source_test.rows[source]),
        target_test=replace(data.target_test, rows=data.target_test.rows[target]),
        truth=np.array([place.get(int(row), -1) for row in data.truth[source]], np.int64),
    )


def _thin_reference(data: Reference) -> Reference:
    """The same with at most MOST training images of each domain."""
    return replace(
        data,
        source_train=_thin(data.source_train),
        target_train=_thin(data.target_train),
        target_pool=None if data.target_pool is None else _thin(data.target_pool),
    )


def _thin(images: Images) -> Images:
    rows = _evenly(len(images))
    return Images(images.pixels[rows], images.labels[rows])


def _evenly(n: int) -> np.ndarray:
    """int64: at most MOST of n positions, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(MOST, n)).astype(np.int64))


def _count(n: int, domain: str) -> str:
    return f"{n} {domain} image{'' if n == 1 else 's'}"
