"""LPIPS (Zhang et al. 2018, equation 1) with the lpips package's networks: each image goes through once."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.metrics import intervals, weights
from bench.metrics.data import Undefined, Value
from bench.metrics.registry import metric

if TYPE_CHECKING:
    import torch

    from bench.metrics.measurement import Measurement


Report = Callable[[str], None]

SMALLEST = 31  # AlexNet's second pooling leaves nothing of smaller images
BATCH = 16


class Lpips:
    """LPIPS v0.1 with the AlexNet trunk.

    The distance is a weighted squared difference of normalised features, averaged over positions and summed over
    layers. With the roots of the weights and of the averaging moved into the features, it is the squared Euclidean
    distance between one vector per image, so that k outputs cost k passes for their k (k - 1) / 2 pairs.
    """

    def __init__(self, device: str) -> None:
        """MissingWeights where the trunk is not on this machine."""
        self.device = device
        self.model: Any = load("alex", device)

    def vectors(self, pixels: np.ndarray) -> torch.Tensor:
        """uint8 (n, 3, R, R) with R >= 31 -> float32 (n, D) on the device."""
        import lpips
        import torch

        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            images = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).float() / 127.5 - 1
            layers = self.model.net(self.model.scaling_layer(images))
            parts = []
            for features, linear in zip(layers, self.model.lins):
                root = linear.model[-1].weight.clamp(min=0).sqrt()
                positions = features.shape[2] * features.shape[3]
                parts.append((lpips.normalize_tensor(features) * root / positions**0.5).flatten(1))
            return torch.cat(parts, 1)

    def to_partners(self, images: np.ndarray, partners: list[np.ndarray], report: Report) -> list[np.ndarray]:
        """LPIPS of image i to image i of each partner set, all uint8 (n, 3, R, R): one float64 (n,) per set."""
        by_partner: list[list[np.ndarray]] = [[] for _ in partners]
        for start in range(0, len(images), BATCH):
            rows = slice(start, start + BATCH)
            mine = self.vectors(images[rows])
            for distances, partner in zip(by_partner, partners):
                distances.append((mine - self.vectors(partner[rows])).square().sum(1).double().cpu().numpy())
            report(f"lpips {min(start + BATCH, len(images))}/{len(images)}")
        return [np.concatenate(distances) for distances in by_partner]

    def pairs(self, outputs: np.ndarray, report: Report) -> np.ndarray:
        """LPIPS of all pairs (i, j), i < j, of the k outputs of each source, in the order of np.triu_indices: uint8
        (m, k, 3, R, R), k > 1 -> float64 (m, k (k - 1) / 2)."""
        import torch

        distances = []
        for i, several in enumerate(outputs):
            distances.append(torch.pdist(self.vectors(several)).double().square().cpu().numpy())
            report(f"lpips diversity {i + 1}/{len(outputs)}")
        return np.stack(distances)


def load(network: str, device: str) -> torch.nn.Module:
    """The lpips package's model (`alex` or `vgg`) with its own linear layers v0.1 and the trunk from our weights."""
    import lpips
    import torch
    from safetensors.torch import load_file

    trunk = load_file(weights.pretrained_weights({"alex": "lpips-alex", "vgg": "lpips-vgg16"}[network]))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # torchvision: `pretrained` is deprecated; the package passes it
        model = lpips.LPIPS(net=network, version="0.1", pnet_rand=True, verbose=False)
    state = {}
    for name in model.net.state_dict():  # "slice2.3.weight" is torchvision's "features.3.weight"
        state[name] = trunk[f"features.{name.split('.', 1)[1]}"]
    model.net.load_state_dict(state)
    return model.eval().requires_grad_(False).to(device)


@metric(better="higher", range=(0, inf), needs=("lpips-alex",))
def lpips_diversity(m: Measurement) -> Value:
    """LPIPS (AlexNet) between outputs for one source, mean over all pairs and over sources"""
    pairs = m.once(lpips_pairs)
    return intervals.mean(pairs.mean(1), _outputs_of(pairs))


@metric(better="higher", range=(0, inf), needs=("lpips-alex",))
def lpips_diversity_19_pairs(m: Measurement) -> Value:
    """LPIPS (AlexNet) of 19 random pairs of outputs for one source, mean over pairs and 100 sources: MUNIT's protocol

    MUNIT (section 5.2), UDIT (section 5.5.3). The pairs are drawn without replacement from those of the stored
    outputs, by a generator that the outputs themselves seed.
    """
    pairs = m.once(lpips_pairs)
    drawn = [choose_pairs(several) for several in _diverse(m)]
    return intervals.mean(np.array([row[chosen].mean() for row, chosen in zip(pairs, drawn)]), _outputs_of(pairs))


def choose_pairs(outputs: np.ndarray, n: int = 19) -> np.ndarray:
    """Positions, in the order of np.triu_indices, of n pairs of one source's outputs (k, 3, R, R); all where there are
    fewer. The same pairs of images in whichever order the outputs come."""
    k = len(outputs)
    keys = [hashlib.sha256(image.tobytes()).digest() for image in outputs]
    order = sorted(range(k), key=keys.__getitem__)
    seed = int.from_bytes(hashlib.sha256(b"".join(keys[i] for i in order)).digest()[:8], "little")
    first, second = np.triu_indices(k, 1)
    chosen = np.random.default_rng(seed).permutation(len(first))[:n]
    place = np.empty((k, k), np.int64)
    place[first, second] = place[second, first] = np.arange(len(first))
    rank = np.array(order)
    return place[rank[first[chosen]], rank[second[chosen]]]


def _outputs_of(pairs: np.ndarray) -> int:
    """k of k (k - 1) / 2."""
    return round((1 + (1 + 8 * pairs.shape[1]) ** 0.5) / 2)


@metric(better=None, range=(0, inf), needs=("lpips-alex",))
def lpips_source(m: Measurement) -> Value:
    """LPIPS (AlexNet) of an output to its source: how much was changed"""
    if m.outputs.sources is None:
        raise Undefined("these images were not made from sources")
    check_size(m.outputs.images)
    return intervals.mean(m.once(lpips_to_partners)["sources"], len(m.outputs.sources))


@metric(better="lower", range=(0, inf), needs=("lpips-alex",))
def lpips_truth(m: Measurement) -> Value:
    """LPIPS (AlexNet) of an output to the ground truth of its source"""
    rows = m.truth_rows
    check_size(m.outputs.images)
    return intervals.mean(m.once(lpips_to_partners)["truth"][rows], len(rows))


@metric(better="lower", range=(0, inf), needs=("lpips-alex",))
def lpips_truth_relative(m: Measurement) -> Value:
    """LPIPS (AlexNet) to the ground truth, over that of the untouched sources: 1 is no nearer than doing nothing

    The quotient of the two means, with its jackknife interval over images.
    """
    rows = m.truth_rows
    if m.outputs.sources is None:
        raise Undefined("these images were not made from sources")
    check_size(m.outputs.images)
    made, untouched = m.once(lpips_to_partners)["truth"][rows], m.once(_lpips_untouched)[rows]
    if not untouched.any():
        raise Undefined("the sources are their own ground truth")
    value = float(made.sum() / untouched.sum())
    if len(rows) < 2:
        return Value(value, n_gen=len(rows), n_ref=len(rows))
    low, high = intervals.jackknife(value, (made.sum() - made) / (untouched.sum() - untouched))
    return Value(value, low, high, len(rows), len(rows))


def _lpips_untouched(m: Measurement) -> np.ndarray:
    """LPIPS of each source to its ground truth: float64 (n,)."""
    assert m.outputs.sources is not None and m.outputs.truth is not None
    return m.once(_lpips).to_partners(m.outputs.sources, [m.outputs.truth], m.report)[0]


def _diverse(m: Measurement) -> np.ndarray:
    """Several outputs of each source: uint8 (m, k, 3, R, R), k > 1."""
    diverse = m.outputs.diverse
    if diverse is None or not len(diverse) or diverse.shape[1] < 2:
        raise Undefined("one output for a source: nothing to compare")
    return diverse


def _lpips(m: Measurement) -> Lpips:
    return Lpips(m.device)


def lpips_pairs(m: Measurement) -> np.ndarray:
    """LPIPS of all pairs of outputs of each source with several: float64 (m, pairs)."""
    diverse = _diverse(m)
    check_size(diverse)
    return m.once(_lpips).pairs(diverse, m.report)


def lpips_to_partners(m: Measurement) -> dict[str, np.ndarray]:
    """LPIPS of the outputs to their `sources` and to the `truth`, in one pass over the outputs: float64 (n,) each."""
    partners = {name: p for name in ("sources", "truth") if (p := getattr(m.outputs, name)) is not None}
    distances = m.once(_lpips).to_partners(m.outputs.images, list(partners.values()), m.report)
    return dict(zip(partners, distances))


def check_size(pixels: np.ndarray) -> None:
    if min(pixels.shape[-2:]) < SMALLEST:
        raise Undefined(f"LPIPS needs images of at least {SMALLEST} pixels, these have {min(pixels.shape[-2:])}")
