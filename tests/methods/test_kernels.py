"""The faster forms of layers against torch's plain ones: values, gradients and gradients of gradients."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn import kernels, resampling
from bench.methods.nn.resampling import UpsampledConv, conv_then_pool, upsample_then_conv


def same(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    """In float64, so that other roundings do not show."""
    found = []
    for run in (ours, plain):
        leaves = [x.detach().double().requires_grad_() for x in inputs]
        y = run(*leaves)
        along = torch.arange(y.numel(), dtype=y.dtype).view(y.shape).cos()
        first = torch.autograd.grad((y.square() * along).sum(), leaves, create_graph=True)
        found.append([y, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), leaves)])
    for a, b in zip(*found):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-8)


def interpolated(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "mode"), [(4, 2, 1, "reflect"), (3, 1, 1, "zeros"), (4, 1, 0, "zeros")]
)
def test_a_conv_of_few_positions(
    monkeypatch: pytest.MonkeyPatch, size: int, stride: int, padding: int, mode: str
) -> None:
    monkeypatch.setattr(kernels, "WIDE", 1)
    monkeypatch.setattr(F, "conv2d", None)  # not called
    x, weight, bias = torch.randn(2, 3, 5, 4), torch.randn(6, 3, size, size), torch.randn(6)
    conv = kernels.Conv2d(3, 6, size, stride, padding, padding_mode=mode)

    def plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        padded = F.pad(x, [padding] * 4, mode="constant" if mode == "zeros" else mode)
        return torch.conv2d(padded, weight, bias, stride)

    same(lambda x, w, b: conv._conv_forward(x, w, b), plain, x, weight, bias)
    assert conv(x).is_contiguous()


def test_a_conv_of_many_positions_or_few_weights_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "unfold", None)
    kernels.Conv2d(1024, 1024, 1)(torch.zeros(1, 1024, 9, 8))
    kernels.Conv2d(8, 8, 3)(torch.zeros(1, 8, 8, 8))


@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm(affine: bool) -> None:
    ours, plain = kernels.InstanceNorm2d(5, affine=affine), nn.InstanceNorm2d(5, affine=affine)
    if affine:
        nn.init.normal_(ours.weight)
        nn.init.normal_(ours.bias)
        plain.load_state_dict(ours.state_dict())
    x = 3 * torch.randn(2, 5, 6, 4) + 1
    torch.testing.assert_close(ours(x), plain(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours(x.bfloat16()), plain(x.bfloat16()), atol=1e-5, rtol=1e-5)


def test_adain_and_its_gradients() -> None:
    leaves = [torch.randn(2, 5, 6, 4), torch.randn(2, 5), torch.randn(2, 5)]
    found = []
    for run in (
        kernels.adain,
        lambda x, shift, scale: F.instance_norm(x) * scale[..., None, None] + shift[..., None, None],
    ):
        inputs = [leaf.clone().requires_grad_() for leaf in leaves]
        y = run(*inputs)
        found.append([y, *torch.autograd.grad(y.pow(3).sum(), inputs)])
    for a, b in zip(*found):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fewest", [1, 1 << 30])  # of pixels from which the kernels are joined
def test_resampling_beside_a_conv(monkeypatch: pytest.MonkeyPatch, fewest: int) -> None:
    monkeypatch.setattr(resampling, "FEWEST_PIXELS", fewest)
    conv = nn.Conv2d(3, 4, 3, padding=1).double()
    bias = conv.bias
    x, weight = torch.randn(2, 3, 6, 4), torch.randn(4, 3, 3, 3)
    same(
        lambda x, w: conv_then_pool(conv, x, w),
        lambda x, w: F.avg_pool2d(F.conv2d(x, w, bias, padding=1), 2),
        x,
        weight,
    )
    same(
        lambda x, w: upsample_then_conv(conv, x, w),
        lambda x, w: F.conv2d(interpolated(x), w, bias, padding=1),
        x,
        weight,
    )
    assert torch.equal(conv_then_pool(conv, x.double()), conv_then_pool(conv, x.double(), conv.weight))


@pytest.mark.parametrize("side", [2, 3, 8])
@pytest.mark.parametrize("fewest", [1, 1 << 30])
def test_upsampling_before_a_reflecting_conv(monkeypatch: pytest.MonkeyPatch, fewest: int, side: int) -> None:
    monkeypatch.setattr(resampling, "FEWEST_PIXELS", fewest)
    conv = UpsampledConv(3, 4, 5, 1, 2, padding_mode="reflect").double()
    bias = conv.bias
    same(
        lambda x, w: upsample_then_conv(conv, x, w),
        lambda x, w: F.conv2d(F.pad(interpolated(x), [2] * 4, mode="reflect"), w, bias),
        torch.randn(2, 3, side, side),
        torch.randn(4, 3, 5, 5),
    )
    x = torch.randn(1, 3, side, side).double()
    assert torch.equal(conv(x), upsample_then_conv(conv, x, conv.weight))
