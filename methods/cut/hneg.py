"""The two losses of Hneg-SRC (Jung et al., CVPR 2022, arXiv 2203.01532; code jcy132/Hneg_SRC at 9a9647d).

Queries q and keys k are (N, n, width) of length 1, one image a row; keys are meant to be detached. What the code does
across a whole batch happens here within each image, so that batches of any size and maps of any size work.
"""

import torch
from torch import Tensor

MASKED = -10.0  # a similarity that no pair of unit vectors has
POSITIONS = 256  # for which the weight of the semantic relation consistency was chosen


def negative_weights(key: Tensor, gamma: float) -> Tensor:
    """(N, n, n) in (0, 1]: how much key j counts as a negative for position i; the most similar one counts 1.

    A small gamma leaves the nearest keys alone, a large one all keys alike.
    """
    similarity = _without_diagonal(_similarity(key, key))
    shares = torch.softmax(similarity / gamma, dim=2)
    return shares / shares.amax(2, keepdim=True)


def hdce(query: Tensor, key: Tensor, temperature: float, weights: Tensor | None = None) -> Tensor:
    """(N,): decoupled contrastive loss with weighted negatives; the mean over positions.

    The gradient is that of log sum_j exp(w_ij q_i.k_j / t) - q_i.k_i / t, without the positive in the sum; the value is
    that of the cross entropy, which has it there, as in the code.
    """
    similarity = _similarity(query, key)
    positive = torch.diagonal(similarity, dim1=1, dim2=2) / temperature
    weighted = similarity if weights is None else weights * similarity
    negatives = torch.logsumexp(_without_diagonal(weighted) / temperature, dim=2)
    decoupled = negatives - positive
    cross_entropy = torch.logaddexp(negatives, positive) - positive
    return (decoupled + (cross_entropy - decoupled).detach()).mean(1)


def relation_consistency(query: Tensor, key: Tensor) -> Tensor:
    """(N,): Jensen-Shannon divergence of how the positions of one image resemble each other, in output and input.

    The sum over all positions, as in the code, scaled from n of them to 256.
    """
    log_p, log_r = (torch.log_softmax(_similarity(x, x), dim=2) for x in (query, key))
    p, r = log_p.exp(), log_r.exp()
    log_middle = (0.5 * (p + r)).log()
    divergence = 0.5 * (p * (log_p - log_middle) + r * (log_r - log_middle))
    return divergence.sum((1, 2)) * POSITIONS / query.shape[1]


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """(N, n, width) twice -> (N, n, n), in full precision."""
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float().transpose(1, 2)


def _without_diagonal(matrix: Tensor) -> Tensor:
    own = torch.eye(matrix.shape[1], dtype=torch.bool, device=matrix.device)
    return matrix.masked_fill(own, MASKED)
