"""The norms and the attention of U-GAT-IT and NICE-GAN against their formulas written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn.adalin import ILN, AdaILN, Modulation, clamp_rho
from bench.methods.nn.cam import OneHeadAttention, TwoHeadAttention


def mixture(x: Tensor, rho: Tensor) -> Tensor:
    """rho * IN(x) + (1 - rho) * LN(x) with unbiased variances and 1e-5 inside the root."""
    instance = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt()
    layer = (x - x.mean((1, 2, 3), keepdim=True)) / (x.var((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    return rho.view(1, -1, 1, 1) * instance + (1 - rho.view(1, -1, 1, 1)) * layer


def maps() -> Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 + torch.arange(3.0)[:, None, None]


@pytest.mark.parametrize("mixing", ["clamped", "softmax"])
def test_adailn_is_the_formula_of_the_paper(mixing: str) -> None:
    norm, x = AdaILN(3, mixing), maps()
    nn.init.uniform_(norm.rho)
    rho = norm.rho if mixing == "clamped" else norm.rho.softmax(1)[:, 0]
    gamma, beta = torch.randn(2, 3), torch.randn(2, 3)
    by_hand = gamma[:, :, None, None] * mixture(x, rho) + beta[:, :, None, None]
    assert torch.allclose(norm(x, gamma, beta), by_hand, atol=1e-5)


@pytest.mark.parametrize(("mixing", "numbers"), [("clamped", 3 * 3), ("softmax", 4 * 3)])
def test_iln_has_a_scale_and_a_shift_of_its_own(mixing: str, numbers: int) -> None:
    norm, x = ILN(3, mixing), maps()
    assert sum(p.numel() for p in norm.parameters()) == numbers
    norm.gamma.data, norm.beta.data = torch.tensor([2.0, 3.0, 4.0]), torch.tensor([0.5, 1.0, -1.0])
    rho = norm.rho if mixing == "clamped" else norm.rho.softmax(1)[:, 0]
    by_hand = norm.gamma.view(1, 3, 1, 1) * mixture(x, rho) + norm.beta.view(1, 3, 1, 1)
    assert torch.allclose(norm(x), by_hand, atol=1e-5)


def test_where_rho_starts() -> None:
    """NICE-GAN's softmax of (3.2, 1) gives the first 1 / (1 + e^-2.2) = 0.9002."""
    assert AdaILN(3, "clamped").rho.tolist() == pytest.approx([0.9] * 3)
    assert ILN(3, "clamped").rho.tolist() == [0.0] * 3
    assert AdaILN(3, "softmax").rho.softmax(1)[:, 0].tolist() == pytest.approx([0.90025] * 3, abs=1e-4)
    assert ILN(3, "softmax").rho.softmax(1)[:, 1].tolist() == pytest.approx([0.90025] * 3, abs=1e-4)


def test_rho_is_clamped_where_it_is_a_weight_and_left_alone_where_it_is_a_logit() -> None:
    weight, logit = ILN(2, "clamped"), ILN(2, "softmax")
    weight.rho.data = torch.tensor([1.5, -0.5])
    clamp_rho(nn.Sequential(weight, logit))
    assert weight.rho.tolist() == [1.0, 0.0] and logit.rho[0].tolist() == pytest.approx([1.0, 3.2])


def test_gradients_of_the_norm_are_those_of_the_formula() -> None:
    norm, x = AdaILN(3, "clamped"), maps().requires_grad_()
    gamma, beta, weights = torch.randn(2, 3), torch.randn(2, 3), torch.randn(2, 3, 4, 5)
    mine = torch.autograd.grad((norm(x, gamma, beta) * weights).sum(), [x, norm.rho])
    by_hand = gamma[:, :, None, None] * mixture(x, norm.rho) + beta[:, :, None, None]
    for one, other in zip(mine, torch.autograd.grad((by_hand * weights).sum(), [x, norm.rho])):
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("spectral", [False, True])
def test_two_head_attention_weighs_by_the_raw_weights(spectral: bool) -> None:
    attention, x = TwoHeadAttention(3, spectral, nn.ReLU()).eval(), maps()
    (average_weight,), (maximum_weight,) = attention.of_average.parameters(), attention.of_maximum.parameters()
    out, logits = attention(x)
    both = torch.cat([x * average_weight.view(1, 3, 1, 1), x * maximum_weight.view(1, 3, 1, 1)], dim=1)
    assert torch.allclose(out, attention.conv(both).relu(), atol=1e-5)
    pooled = [x.mean((2, 3)), x.amax((2, 3))]
    # of a single row the spectral norm is its length
    scales = [w.norm() if spectral else torch.ones(()) for w in (average_weight, maximum_weight)]
    by_hand = [p @ w.T / s for p, w, s in zip(pooled, (average_weight, maximum_weight), scales)]
    assert torch.allclose(logits, torch.cat(by_hand, dim=1), atol=1e-5)


def test_one_head_attention_classifies_both_poolings_together() -> None:
    attention, x = OneHeadAttention(3).eval(), maps()
    (weight,) = attention.classifier.parameters()
    out, logit = attention(x)
    assert torch.allclose(out, attention.conv(torch.cat([x, x], dim=1) * weight.view(1, 6, 1, 1)), atol=1e-5)
    pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
    assert torch.allclose(logit, pooled @ weight.T / weight.norm(), atol=1e-5)


def test_the_light_modulation_averages_positions_and_the_full_one_keeps_them() -> None:
    x = maps()[..., :4]
    shuffled = x.flatten(2)[..., torch.randperm(16, generator=torch.Generator().manual_seed(1))].view_as(x)
    light, full = Modulation(3, 4, light=True), Modulation(3, 4, light=False)
    assert torch.allclose(light(x)[0], light(shuffled)[0], atol=1e-6)
    assert not torch.allclose(full(x)[0], full(shuffled)[0], atol=1e-3)
    first, second, _, beta = full.parameters()
    hidden = F.relu(F.relu(x.flatten(1) @ first.T) @ second.T)
    assert torch.allclose(full(x)[1], hidden @ beta.T, atol=1e-5)
