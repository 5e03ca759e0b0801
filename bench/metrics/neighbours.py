"""Memorised? Distances to the nearest training image, seen against those of held-out real images."""

import numpy as np

from bench.metrics.distances import nearest


def nearest_to_training(
    outputs: np.ndarray, held_out: np.ndarray, training: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d), (m, d), (t, d) -> nearest-neighbour distances to training of outputs (n,) and held-out (m,)."""
    return nearest(outputs, training), nearest(held_out, training)


def median_ratio(outputs: np.ndarray, held_out: np.ndarray) -> float:
    """Median distance of outputs over that of held-out real images; 1 is what a fair sample gives, 0 a copier.

    nan where half of the held-out images are themselves training images.
    """
    typical = np.median(held_out)
    return float(np.median(outputs) / typical) if typical > 0 else float("nan")


def closer_than_first_percentile(outputs: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Which outputs lie nearer to training than all but 1 % of the held-out real images do: bool (n,)."""
    return outputs < np.percentile(held_out, 1)
