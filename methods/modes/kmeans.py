"""Spherical k-means (Dhillon and Modha 2001), as faiss does it and BalaGAN uses it."""

import numpy as np

ITERATIONS = 25  # faiss's default


def spherical_kmeans(points: np.ndarray, k: int, seed: int, iterations: int = ITERATIONS) -> np.ndarray:
    """Cluster ids int64 (n,) of points (n, d), 1 <= k <= n; every cluster has a member.

    Begins with k random points. Then: assign each point to the centroid of the largest inner product; replace each
    centroid by the sum of its members over its norm. The length of a point does not change its assignment, but is its
    weight in the sum. An empty cluster gets the point that fits its own centroid worst (faiss splits a large cluster).
    """
    points = np.asarray(points, dtype=np.float64)
    first = np.random.default_rng(seed).choice(len(points), k, replace=False)
    centroids = _unit(points[first])
    assigned = _assign(points, centroids)
    for _ in range(iterations):
        sums = np.zeros_like(centroids)
        np.add.at(sums, assigned, points)
        centroids = _unit(sums)
        previous, assigned = assigned, _assign(points, centroids)
        if np.array_equal(previous, assigned):
            break
    return assigned


def _assign(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    similarity = points @ centroids.T
    assigned = similarity.argmax(1)
    fit = similarity.max(1) / np.maximum(np.linalg.norm(points, axis=1), 1e-12)  # the cosine
    sizes = np.bincount(assigned, minlength=len(centroids))
    for empty in np.flatnonzero(sizes == 0):
        worst = np.where(sizes[assigned] > 1, fit, np.inf).argmin()
        sizes[assigned[worst]] -= 1
        assigned[worst], sizes[empty], fit[worst] = empty, 1, 1.0
    return assigned


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
