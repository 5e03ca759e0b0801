"""BigGAN's networks against the counts of the official ones and plain versions of their layers."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.errors import UserError
from bench.methods.deepi2i import biggan
from bench.methods.deepi2i.biggan import (
    Attention,
    ConditionalBatchNorm,
    Discriminator,
    DownBlock,
    Encoder,
    Generator,
    UpBlock,
)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_of_the_official_networks() -> None:
    with torch.device("meta"):
        assert count(Generator(3, 1000, 96, 128)) == 70_433_988
        assert count(Discriminator(3, 1000, 96, 128)) == 87_982_370
        assert count(Encoder(3, 96, 128)) == 86_444_833


def test_maps_have_the_channels_of_the_official_networks() -> None:
    with torch.device("meta"):
        assert Encoder(3, 96, 128).widths == {64: 96, 32: 192, 16: 384, 8: 768, 4: 1536}
        assert Generator(3, 10, 96, 128).widths == {4: 1536, 8: 1536, 16: 768, 32: 384, 64: 192, 128: 96}
    for side in (32, 64, 128):
        network = Discriminator(3, 4, 8, side)
        _, maps = network.judge(torch.randn(1, 3, side, side), torch.tensor([2]))
        assert {s: m.shape[1:] for s, m in maps.items()} == {s: (w, s, s) for s, w in network.widths.items()}
        assert maps[4].min() == 0 and maps[8].min() < 0, "the 4x4 map alone is rectified"


def test_weights_have_the_names_of_the_public_files() -> None:
    names = set(Generator(3, 4, 8, 128).state_dict()) | set(Discriminator(3, 4, 8, 128).state_dict())
    public = ("shared.weight", "linear.u0", "blocks.0.0.bn1.gain.weight", "blocks.0.0.bn1.stored_var", "embed.u0")
    public += ("blocks.3.1.gamma", "output_layer.0.gain", "output_layer.2.weight", "blocks.0.1.theta.weight")
    assert set(public) <= names


def test_spectral_norm_by_hand() -> None:
    """One power iteration a forward pass; the vector is kept in training alone."""
    layer = biggan.SNConv(2, 3)
    w, u = layer.weight.detach().reshape(3, 18), layer.u0.clone()
    v = (u @ w) / (u @ w).norm()
    after = (v @ w.T) / (v @ w.T).norm()
    sigma = (v @ w.T @ after.T).item()
    x = torch.randn(1, 2, 5, 5)
    wanted = F.conv2d(x, layer.weight / sigma, layer.bias, padding=1)
    layer.eval()
    torch.testing.assert_close(layer(x), wanted)
    assert torch.equal(layer.u0, u)
    layer.train()
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(layer.u0, after)
    for _ in range(200):
        layer(x)
    largest = torch.linalg.svdvals(w)[0]
    assert torch.linalg.svdvals(biggan.normalised(layer).detach().reshape(3, 18))[0].item() == pytest.approx(
        1, rel=1e-4
    )
    torch.testing.assert_close(biggan.normalised(layer), layer.weight / largest, rtol=1e-4, atol=1e-5)


def test_gradients_flow_through_sigma() -> None:
    layer = biggan.SNLinear(4, 3, bias=False).eval()
    w, u = layer.weight, layer.u0
    v = F.normalize(u @ w, eps=1e-6).detach()
    after = F.normalize(v @ w.T, eps=1e-6).detach()
    x, d = torch.randn(2, 4), torch.randn(2, 3)
    (ours,) = torch.autograd.grad((layer(x) * d).sum(), w)
    (wanted,) = torch.autograd.grad((F.linear(x, w / (v @ w.T @ after.T)) * d).sum(), w)
    torch.testing.assert_close(ours, wanted)


def plain(conv: biggan.SNConv, x: Tensor) -> Tensor:
    return F.conv2d(x, biggan.normalised(conv), conv.bias, padding=conv.padding)


def test_blocks_are_the_official_ones_although_shortcuts_run_elsewhere() -> None:
    up, x, e = UpBlock(6, 4, 5).eval(), torch.randn(2, 6, 4, 4), torch.randn(2, 5)

    def norm(bn: ConditionalBatchNorm, h: Tensor) -> Tensor:
        gain, bias = bn.gain(e)[:, :, None, None], bn.bias(e)[:, :, None, None]
        return h / (1 + 1e-5) ** 0.5 * (1 + gain) + bias

    h = plain(up.conv1, F.interpolate(F.relu(norm(up.bn1, x)), scale_factor=2))
    wanted = plain(up.conv2, F.relu(norm(up.bn2, h))) + plain(up.conv_sc, F.interpolate(x, scale_factor=2))
    torch.testing.assert_close(up(x, e), wanted, rtol=1e-4, atol=1e-5)
    for first in (True, False):
        down = DownBlock(6, 6, preactivate=not first).eval()
        h = plain(down.conv2, F.relu(plain(down.conv1, x if first else F.relu(x))))
        wanted = F.avg_pool2d(h, 2) + F.avg_pool2d(plain(down.conv_sc, x), 2)
        torch.testing.assert_close(down(x), wanted, rtol=1e-4, atol=1e-5)
    assert DownBlock(6, 6, down=False).conv_sc is None


def test_attention_by_hand() -> None:
    a, x = Attention(16).eval(), torch.randn(2, 16, 4, 4)
    assert torch.equal(a(x), x), "gamma starts at 0"
    nn.init.constant_(a.gamma, 0.5)
    out = a(x)
    for n in range(2):
        theta = plain(a.theta, x)[n].reshape(2, 16)
        phi = F.max_pool2d(plain(a.phi, x), 2)[n].reshape(2, 4)
        g = F.max_pool2d(plain(a.g, x), 2)[n].reshape(8, 4)
        o = torch.zeros(8, 16)
        for query in range(16):
            scores = torch.stack([(theta[:, query] * phi[:, key]).sum() for key in range(4)]).exp()
            o[:, query] = (g * scores / scores.sum()).sum(1)
        wanted = x[n] + 0.5 * plain(a.o, o.reshape(1, 8, 4, 4))[0]
        torch.testing.assert_close(out[n], wanted, rtol=1e-4, atol=1e-5)


def test_the_projection_by_hand() -> None:
    d, x, label = Discriminator(3, 4, 8, 32).eval(), torch.randn(3, 3, 32, 32), torch.tensor([1, 3, 1])
    logits, maps = d.judge(x, label)
    h = maps[4].sum((2, 3))
    table = biggan.normalised(d.embed)
    for n in range(3):
        wanted = d.linear(h[n : n + 1])[0, 0] + (table[label[n]] * h[n]).sum()
        assert logits[n].item() == pytest.approx(wanted.item(), rel=1e-4)


def test_the_generator_mixes_code_class_and_sums() -> None:
    torch.manual_seed(0)
    g, z, label = Generator(3, 4, 8, 32, latent=8, shared=4).eval(), torch.randn(2, 8), torch.tensor([0, 1])
    biggan.orthogonal_init(g)
    out = g(z, label)
    assert out.shape == (2, 3, 32, 32) and out.abs().max() <= 1
    assert not torch.allclose(out, g(z, label.flip(0)))
    for i in range(4):  # every chunk of the code arrives
        other = z.clone()
        other[:, 2 * i] += 1
        assert not torch.equal(out, g(other, label))
    for side in (4, 8, 16, 32):
        zeros = torch.zeros(2, g.widths[side], side, side)
        torch.testing.assert_close(g(z, label, {side: zeros}), out)
        assert not torch.equal(g(z, label, {side: zeros + 1}), out)


def test_eval_changes_no_buffer_and_training_changes_them() -> None:
    g = Generator(3, 4, 8, 32, latent=8)
    before = copy.deepcopy(g.state_dict())
    g.eval()(torch.randn(2, 8), torch.tensor([0, 1]))
    assert all(torch.equal(v, before[k]) for k, v in g.state_dict().items())
    g.train()(torch.randn(2, 8), torch.tensor([0, 1]))
    for key in ("linear.u0", "blocks.0.0.bn1.stored_mean", "output_layer.0.stored_var"):
        assert not torch.equal(g.state_dict()[key], before[key])


def test_orthogonal_init() -> None:
    d = Discriminator(3, 4, 8, 32)
    biggan.orthogonal_init(d)
    w = d.blocks[1][0].conv1.weight.flatten(1)
    torch.testing.assert_close(w @ w.T, torch.eye(len(w)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("resolution", "latent", "message"), [(48, 8, "choose 32, 64 or 128"), (32, 3, "4 or more")])
def test_what_it_cannot_take(resolution: int, latent: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        biggan.check(resolution, latent)
