import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.nn import layers, losses
from bench.methods.nn.rmsprop import RMSprop


def test_adain_gives_each_channel_the_asked_mean_and_deviation() -> None:
    x = torch.randn(2, 3, 9, 9) * 5 + 2
    shift, scale = torch.randn(2, 3), torch.rand(2, 3) + 0.5
    out = layers.adain(x, shift, scale)
    assert torch.allclose(out.mean((2, 3)), shift, atol=1e-5)
    assert torch.allclose(out.std((2, 3), unbiased=False), scale, rtol=1e-3)


def test_adain_block_consumes_shift_before_scale_and_first_conv_before_second() -> None:
    block = layers.AdaINResidualBlock(2)
    assert block.n_style == 8
    style = torch.tensor([[0.1, 0.2, 1.0, 2.0, 0.3, 0.4, 3.0, 4.0]])
    x = torch.randn(1, 2, 6, 6)

    def normalised(conv: nn.Conv2d, inputs: Tensor) -> Tensor:
        y = F.conv2d(F.pad(inputs, [1, 1, 1, 1], mode="reflect"), conv.weight, conv.bias)
        mean, variance = y.mean((2, 3), keepdim=True), y.var((2, 3), unbiased=False, keepdim=True)
        return (y - mean) / (variance + 1e-5).sqrt()

    pick = lambda a, b: torch.tensor([a, b]).view(1, 2, 1, 1)  # noqa: E731
    hidden = F.relu(normalised(block.first, x) * pick(1.0, 2.0) + pick(0.1, 0.2))
    wanted = x + normalised(block.second, hidden) * pick(3.0, 4.0) + pick(0.3, 0.4)
    assert torch.allclose(block(x, style), wanted, atol=1e-5)


def test_conv_block_is_pad_conv_norm_activation() -> None:
    block = layers.ConvBlock(3, 4, 4, stride=2, padding=1, norm="instance")
    conv = block[0]
    x = torch.randn(2, 3, 8, 8)
    y = F.conv2d(F.pad(x, [1] * 4, mode="reflect"), conv.weight, conv.bias, stride=2)
    wanted = F.relu((y - y.mean((2, 3), keepdim=True)) / (y.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt())
    assert torch.allclose(block(x), wanted, atol=1e-5)
    assert torch.allclose(block.eval()(x), wanted, atol=1e-5), "statistics of the image in eval mode too"


def test_residual_block_has_nothing_after_the_sum() -> None:
    block = layers.ResidualBlock(4)
    x = torch.randn(1, 4, 5, 5) - 3
    assert torch.allclose(block(x), x + block.second(block.first(x)))
    assert (block(x) < 0).any()


def test_activation_first_block_adds_the_raw_input() -> None:
    same, wider = layers.ActivationFirstBlock(4, 4), layers.ActivationFirstBlock(4, 6)
    for block in (same, wider):
        nn.init.zeros_(block.second.weight)
        nn.init.zeros_(block.second.bias)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(same(x), x), "identity shortcut, not leaky ReLU"
    assert torch.allclose(wider(x), F.conv2d(x, wider.shortcut.weight), atol=1e-6)
    assert wider.first.out_channels == 4, "the hidden width is the smaller"
    assert wider.shortcut.bias is None
    narrower = layers.ActivationFirstBlock(6, 4)
    assert narrower.first.out_channels == 4


def test_activation_first_block_formula() -> None:
    block = layers.ActivationFirstBlock(3, 3)
    x = torch.randn(1, 3, 5, 5)

    def half(conv: nn.Conv2d, y: Tensor) -> Tensor:
        y = torch.where(y > 0, y, 0.2 * y)
        return F.conv2d(F.pad(y, [1] * 4, mode="reflect"), conv.weight, conv.bias)

    assert torch.allclose(block(x), x + half(block.second, half(block.first, x)), atol=1e-5)


def test_kaiming_init_has_fan_in_variance_and_zero_biases() -> None:
    conv, linear = nn.Conv2d(16, 256, 3), nn.Linear(400, 300)
    layers.kaiming_init(nn.Sequential(conv, linear))
    assert conv.bias is not None
    assert abs(conv.weight.var().item() * 16 * 9 / 2 - 1) < 0.05
    assert abs(linear.weight.var().item() * 400 / 2 - 1) < 0.05
    assert conv.bias.abs().max() == linear.bias.abs().max() == 0


def test_hinge_losses_by_hand() -> None:
    scores = torch.tensor([[-2.0, 0.5], [1.5, 1.0]])
    assert losses.hinge_real(scores).item() == (3 + 0.5 + 0 + 0) / 4
    assert losses.hinge_fake(scores).item() == (0 + 1.5 + 2.5 + 2) / 4


def test_r1_of_a_linear_score_by_hand() -> None:
    """D(x) = map of a * x: the gradient of an image's mean score is a / (H W) at every pixel."""
    weight = torch.tensor(3.0, requires_grad=True)
    x = torch.randn(4, 1, 2, 5, requires_grad=True)
    scores = (weight * x)[:, 0]
    per_sample = losses.r1(scores, x, "per_sample")
    assert torch.allclose(per_sample, torch.tensor(9 / 10)), "sum over 10 pixels of (3 / 10)^2"
    assert torch.allclose(losses.r1(scores, x, "code"), torch.tensor(9 / 10 / 16)), "and divided by batch^2"
    (gradient,) = torch.autograd.grad(per_sample, weight)
    assert torch.allclose(gradient, torch.tensor(2 * 3 / 10)), "differentiable in the weights"


def test_feature_matching_by_hand() -> None:
    one, other = torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0, -1.0]], [[2.0, 4.0]]]])
    assert losses.feature_matching(one, other).item() == (0 + 3) / 2, "spatial means 0 and 3"
    assert losses.feature_matching(one, other, pooled=False).item() == (1 + 1 + 2 + 4) / 4


def test_of_class_picks_each_images_own_map() -> None:
    maps = torch.arange(2 * 3 * 1 * 2.0).view(2, 3, 1, 2)
    assert losses.of_class(maps, torch.tensor([2, 0])).tolist() == [[[4.0, 5.0]], [[6.0, 7.0]]]


def test_rmsprop_is_torchs() -> None:
    """200 steps on a bowl with weight decay; half way the two exchange their checkpoints."""
    torch.manual_seed(0)
    start, centre = torch.randn(3, 5), torch.randn(3, 5)
    found = []
    for kinds in (
        (torch.optim.RMSprop, torch.optim.RMSprop),
        (RMSprop, torch.optim.RMSprop),
        (torch.optim.RMSprop, RMSprop),
    ):
        weight, state = nn.Parameter(start.clone()), None
        for kind in kinds:
            optimizer = kind([weight], lr=1e-2, alpha=0.9, weight_decay=0.1)
            if state is not None:
                optimizer.load_state_dict(state)
            for _ in range(100):
                optimizer.zero_grad()
                ((weight - centre) ** 4).sum().backward()
                optimizer.step()
            state = optimizer.state_dict()
        found.append(weight.detach())
    for other in found[1:]:
        assert torch.allclose(found[0], other, atol=1e-5)
    assert (found[0] - start).abs().max() > 0.5
