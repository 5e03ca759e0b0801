"""One iteration of a method as its official code's loop runs it: every pass by itself, gradients of all weights.

The peers of test_method_speed.py, written from those loops with the methods' own networks, losses and random draws (in
the order in which `train_step` draws), so that both must end at the same weights.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.methods.cut import CUT
from bench.methods.cyclegan import CycleGAN
from bench.methods.deepi2i import DeepI2I
from bench.methods.dmit import DMIT
from bench.methods.drit import DRIT
from bench.methods.funit import FUNIT
from bench.methods.ganhopper import GANHopper
from bench.methods.icgan import IcGAN
from bench.methods.jdbw import JDBW
from bench.methods.minegan import MineGAN
from bench.methods.mnm import MNM
from bench.methods.mnm_zero_pair import MNMZeroPair
from bench.methods.munit import MUNIT, sum_over_scales
from bench.methods.nicegan import NICEGAN
from bench.methods.nn import losses as L
from bench.methods.nn.adalin import clamp_rho
from bench.methods.nn.batch_weight import clip_bound, clipped_softmax, with_uniform
from bench.methods.nn.diffusion import DiffusionMethod
from bench.methods.nn.losses import lsgan
from bench.methods.nn.mnm_networks import Latent
from bench.methods.nn.patch_nce import PatchProjection, draw_positions, patch_nce, sample
from bench.methods.nn.resnet import ResNetGenerator
from bench.methods.nn.small_target import SmallTargetMethod
from bench.methods.pix2pix import Pix2Pix
from bench.methods.pix2pix_cascade import Pix2PixCascade
from bench.methods.sdit import SDIT
from bench.methods.stargan import StarGAN
from bench.methods.starganv2 import StarGANv2
from bench.methods.transfergan import TransferGAN
from bench.methods.udit import UDIT
from bench.methods.ugatit import UGATIT
from bench.methods.unit import UNIT
from bench.methods.unsb import UNSB, bridge_mix
from bench.methods.uvcgan2 import UVCGAN2
from bench.training.method import Method
from bench.training.sampler import Batch


def descend(method: Method, loss: Tensor, *names: str) -> None:
    """All gradients are computed; those of other networks are thrown away."""
    for optimizer in method.optimizers.values():
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    for name in names:
        method.optimizers[name].step()


def average(method: Method, decay: float | None) -> None:
    for name, mean in method.ema.items():
        for mine, theirs in zip(mean.parameters(), method.networks[name].parameters()):
            mine.lerp_(theirs.detach(), 1 - (decay or 0.0))


def cyclegan(method: CycleGAN, batch: Mapping[str, Batch]) -> None:
    """D does not require gradients in the step of G: that much the code saves itself."""
    c, a, b = method.config, batch["A"].image, batch["B"].image
    g_a, g_b, d_a, d_b = (method.networks[name] for name in ("G_A", "G_B", "D_A", "D_B"))
    fake_b, fake_a = g_a(a), g_b(b)
    total = c.cycle_weight * (F.l1_loss(g_b(fake_b), a) + F.l1_loss(g_a(fake_a), b))
    for d in (d_a, d_b):
        d.requires_grad_(False)
    total = total + lsgan(d_a(fake_b), 1.0) + lsgan(d_b(fake_a), 1.0)
    total = total + c.cycle_weight * c.identity_weight * (F.l1_loss(g_a(b), b) + F.l1_loss(g_b(a), a))
    descend(method, total, "G")
    for d in (d_a, d_b):
        d.requires_grad_(True)
    loss = torch.zeros(())
    for pool, d, real, fake in (("pool_A", d_a, b, fake_b), ("pool_B", d_b, a, fake_a)):
        old = method.memory[pool].query(fake, method.rng)  # type: ignore[attr-defined]
        loss = loss + 0.5 * (lsgan(d(real), 1.0) + lsgan(d(old), 0.0))
    descend(method, loss, "D")
    average(method, c.ema_decay)


def cut(method: CUT, batch: Mapping[str, Batch]) -> None:
    """The features of the sources are made anew, with gradients; D does not require any in the step of G and F."""
    c, a, b = method.config, batch["A"].image, batch["B"].image
    g, d, f = (method.networks[name] for name in "GDF")
    assert isinstance(g, ResNetGenerator) and isinstance(f, PatchProjection)
    fake, same = g(torch.cat([a, b])).split(len(a))
    with torch.no_grad():
        positions = draw_positions(g.features(a, c.nce_layers), 2, c.patches, method.rng)
    descend(method, 0.5 * (lsgan(d(fake.detach()), 0.0) + lsgan(d(b), 1.0)), "D")
    d.requires_grad_(False)
    total, nce = lsgan(d(fake), 1.0), torch.zeros(())
    for pair, (x, y) in enumerate(((a, fake), (b, same))):
        chosen = [places[pair : pair + 1] for places in positions]
        key, query = (f(sample(g.features(images, c.nce_layers), chosen)) for images in (x, y))
        losses = [patch_nce(q, k.detach(), c.temperature).mean() for q, k in zip(query, key)]
        nce = nce + torch.stack(losses).mean()
    descend(method, total + c.nce_weight * nce / 2, "G", "F")
    d.requires_grad_(True)
    average(method, c.ema_decay)


def munit(method: MUNIT, batch: Mapping[str, Batch]) -> None:
    """Also UDIT, whose judge sees source and translation."""
    c, xa, xb = method.config, batch["source"].image, batch["target"].image
    gen_a, gen_b, dis_a, dis_b = method.gen_a, method.gen_b, method.dis_a, method.dis_b

    def styles() -> tuple[Tensor, Tensor]:
        return method._styles(len(xb)), method._styles(len(xa))

    style_a, style_b = styles()
    x_ba = gen_a.decode(gen_b.encode(xb)[0], style_a).detach()
    x_ab = gen_b.decode(gen_a.encode(xa)[0], style_b).detach()
    loss = torch.zeros(())
    for d, fake, real in ((dis_a, x_ba, xa), (dis_b, x_ab, xb)):
        loss = loss + sum_over_scales(c.gan, d(fake), 0.0) + sum_over_scales(c.gan, d(real), 1.0)
    descend(method, c.adv_weight * loss, "dis")

    style_a, style_b = styles()
    (content_a, own_a), (content_b, own_b) = gen_a.encode(xa), gen_b.encode(xb)
    rec_a, rec_b = gen_a.decode(content_a, own_a), gen_b.decode(content_b, own_b)
    x_ba, x_ab = gen_a.decode(content_b, style_a), gen_b.decode(content_a, style_b)
    (content_b2, style_a2), (content_a2, style_b2) = gen_a.encode(x_ba), gen_b.encode(x_ab)
    total = c.image_weight * (F.l1_loss(rec_a, xa) + F.l1_loss(rec_b, xb))
    total = total + c.style_weight * (F.l1_loss(style_a2, style_a) + F.l1_loss(style_b2, style_b))
    total = total + c.content_weight * (F.l1_loss(content_a2, content_a) + F.l1_loss(content_b2, content_b))
    gan = sum_over_scales(c.gan, dis_a(x_ba), 1.0) + sum_over_scales(c.gan, dis_b(x_ab), 1.0)
    if isinstance(method, UDIT):
        judge = method.networks["judge"]
        changed = F.l1_loss(judge(x_ab), judge(xa)) + F.l1_loss(judge(x_ba), judge(xb))
        total = total + method.config.semantic_weight * changed
    descend(method, total + c.adv_weight * gan, "gen")


def funit(method: FUNIT, batch: Mapping[str, Batch]) -> None:
    """Also BalaGAN, whose D has a classifier; its features of real images are not detached in the step of G."""
    c, g, d = method.config, method.generator, method.discriminator
    (xa, la), (xb, lb) = ((batch[name].image, batch[name].label) for name in ("source", "reference"))
    real = xb.detach().requires_grad_()
    features = d.features(real)
    scores = d.scores(features, lb)
    r1 = L.r1(scores, real, c.r1) * (c.replicas**2 if c.r1 == "code" else 1)
    fake = g.decode(g.content_encoder(xa), g.style_encoder(xb)).detach()
    hinge = L.hinge_real(scores) + L.hinge_fake(d.scores(d.features(fake), lb))
    loss = c.adv_weight * hinge + c.r1_weight * r1
    if d.classifier is not None:
        loss = loss + c.cls_weight * F.cross_entropy(d.logits(features), lb)  # type: ignore[attr-defined]
    descend(method, c.replicas * loss, "discriminator")

    content = g.content_encoder(xa)
    translated, rebuilt = g.decode(content, g.style_encoder(xb)), g.decode(content, g.style_encoder(xa))
    total = c.reconstruction_weight * F.l1_loss(rebuilt, xa)
    gan = []
    for image, label, wanted in ((translated, lb, xb), (rebuilt, la, xa)):
        features = d.features(image)
        gan.append(-d.scores(features, label).mean())
        # the target of the matching is not detached: D alone gets a gradient from it, which is thrown away
        matching = L.feature_matching(features, d.features(wanted), c.features_pooled)
        total = total + c.feature_weight * matching
    total = total + c.adv_weight * torch.stack(gan).mean()
    descend(method, c.replicas * total, "generator")
    average(method, c.ema_decay)


def sdit(method: SDIT, batch: Mapping[str, Batch]) -> None:
    c, n, g, d = method.config, method.config.batch_size, method.generator, method.discriminator
    images, labels = batch["source"].image.split(n), batch["source"].label.split(n)
    wanted = [label[torch.randperm(n, generator=method.rng)] for label in labels]
    codes = method._noise(len(images) * n).split(n)
    for x, own, target, code in zip(images, labels, wanted, codes):
        scores, logits, _ = d(x)
        fake = g(x, method._one_hot(target), code).detach()
        loss = -scores.mean() + d(fake)[0].mean() + c.cls_weight * F.cross_entropy(logits, own)
        share = method._uniform(n)[:, None, None, None]
        mixture = (share * x + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(mixture)[0].sum(), mixture, create_graph=True)
        loss = loss + c.gp_weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        descend(method, loss, "D")
    x, own, target = images[-1], labels[-1], wanted[-1]
    code, again = method._noise(n), method._noise(n)
    fake = g(x, method._one_hot(target), code)
    scores, logits, read = d(fake)
    total = -scores.mean() + c.cls_weight * F.cross_entropy(logits, target) + c.lat_weight * F.l1_loss(read, code)
    total = total + c.rec_weight * F.l1_loss(g(fake, method._one_hot(own), again), x)
    descend(method, total, "G")


def stargan(method: StarGAN, batch: Mapping[str, Batch]) -> None:
    """A translation for each step of D, and a new one for that of G."""
    c, n, g, d = method.config, method.config.batch_size, method.generator, method.discriminator
    images, labels = batch["source"].image.split(n), batch["source"].label.split(n)
    wanted = [label[torch.randperm(n, generator=method.rng)] for label in labels]
    for x, own, target in zip(images, labels, wanted):
        scores, logits = d(x)
        fake = g(x, method._one_hot(target)).detach()
        loss = -scores.mean() + d(fake)[0].mean() + c.cls_weight * F.cross_entropy(logits, own)
        mixture = L.mixture(x, fake, torch.rand(n, generator=method.rng))
        descend(method, loss + c.gp_weight * L.wgan_gp(d(mixture)[0], mixture), "D")
    fake = g(images[-1], method._one_hot(wanted[-1]))
    scores, logits = d(fake)
    total = -scores.mean() + c.cls_weight * F.cross_entropy(logits, wanted[-1])
    rebuilt = g(fake, method._one_hot(labels[-1]))
    descend(method, total + c.rec_weight * F.l1_loss(rebuilt, images[-1]), "G")


def starganv2(method: StarGANv2, batch: Mapping[str, Batch]) -> None:
    c, g, e, f, d = method.config, method.generator, method.style_encoder, method.mapping, method.discriminator
    x, own, label = batch["source"].image, batch["source"].label, batch["reference"].label
    reference, partner = batch["reference"].image, batch["partner"].image
    noise, noise2 = torch.randn(2 * len(x), c.latent, generator=method.rng).chunk(2)
    for latent in (True, False):
        real = x.detach().requires_grad_()
        scores = d(real, own)
        with torch.no_grad():
            fake = g(x, f(noise, label) if latent else e(reference, label))
        loss = F.softplus(-scores).mean() + F.softplus(d(fake, label)).mean()
        descend(method, loss + c.r1_weight * 0.5 * L.r1(scores[:, None], real), "D")
    for latent in (True, False):
        style = f(noise, label) if latent else e(reference, label)
        style2 = f(noise2, label) if latent else e(partner, label)
        fake = g(x, style)
        total = F.softplus(-d(fake, label)).mean() + c.style_weight * F.l1_loss(e(fake, label), style)
        total = total - method.diversity.value * F.l1_loss(fake, g(x, style2).detach())
        total = total + c.cycle_weight * F.l1_loss(g(fake, e(x, own)), x)
        descend(method, total, *(("G", "F", "E") if latent else ("G",)))
    average(method, c.ema_decay)
    method.diversity.advance()


def deepi2i(method: DeepI2I, batch: Mapping[str, Batch]) -> None:
    """D requires no gradient in the step of G and judges fakes and sources in one batch: so much the code does itself.

    The whole batch at once. E and A move the vectors of their spectral norm in the second pass, as both passes see the
    same ones in `train_step`.
    """
    c, d, x = method.config, method.discriminator, batch["source"].image
    n = len(x)
    method.encoder.eval(), method.adaptors.eval()
    with torch.no_grad():
        fake, wanted = method._fake(n, method.sums(x))
    method.encoder.train(), method.adaptors.train()
    logits, _ = d.judge(torch.cat([fake, batch["real"].image]), torch.cat([wanted, batch["real"].label]))
    descend(method, L.hinge_real(logits[n:]) + L.hinge_fake(logits[:n]), "D")

    d.requires_grad_(False)
    fake, wanted = method._fake(n, method.sums(x))
    logits, maps = d.judge(torch.cat([fake, x]), torch.cat([wanted, wanted]))
    total = -logits[:n].mean()
    for side in method.matched:
        total = total + method._of_side(side, "match_weight") * F.mse_loss(*maps[side].chunk(2))
    phase1 = c.pretrained != "none" and method.counter.done < c.adaptor_steps
    trained = [name for name in ("G", "A", "E") if name in method.optimizers and not (phase1 and name == "G")]
    descend(method, total, *trained)
    d.requires_grad_(True)
    method.counter.done += 1


def jdbw(method: JDBW, batch: Mapping[str, Batch]) -> None:
    """Algorithm 1, read consistently. The generators' first pass moves the vectors of their spectral norm."""
    c, m, nets = method.config, method.config.batch_size, method.networks
    g, h, d = nets["Gxy"], nets["Gyx"], nets["D"]
    bound = clip_bound(method.progress.step, c.clip_start, c.clip_full)

    def weigh(x: Tensor, gy: Tensor, gx: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        share = [clipped_softmax(sign * nets[name](image), bound) for name, sign, image in (
            ("Wx", 1, x), ("Wy", -1, gy), ("Wx", -1, gx), ("Wy", 1, y))]  # fmt: skip
        return with_uniform((share[0] + share[1]) / 2), with_uniform((share[2] + share[3]) / 2)

    xs, ys = batch["x"].image.split(m), batch["y"].image.split(m)
    noise_x, noise_y = (method._noise(c.d_steps * m, method.rng).split(m) for _ in range(2))
    for i in range(c.d_steps):
        g.train(i == 0), h.train(i == 0)
        with torch.no_grad():
            gy, gx = g(xs[i], noise_x[i]), h(ys[i], noise_y[i])
            omega, nu = weigh(xs[i], gy, gx, ys[i])
        pairs = torch.cat([xs[i], gx]).requires_grad_(), torch.cat([gy, ys[i]]).requires_grad_()
        scores = d(*pairs)
        slopes = torch.autograd.grad(scores.sum(), pairs, create_graph=True)
        norm = (sum(slope.flatten(1).square().sum(1) for slope in slopes) + 1e-6).sqrt()
        penalty = (torch.cat([omega, nu]) * (norm - 1).square()).sum()
        descend(method, c.gp_weight * penalty - (omega * scores[:m]).sum() + (nu * scores[m:]).sum(), "D")
    g.train(), h.train()
    x, y = xs[-1], ys[-1]
    gy, gx = g(x, method._noise(m, method.rng)), h(y, method._noise(m, method.rng))
    omega, nu = weigh(x, gy.detach(), gx.detach(), y)
    scores = d(torch.cat([x, gx]), torch.cat([gy, y]))
    loss = (omega.detach() * scores[:m]).sum() - (nu.detach() * scores[m:]).sum()
    values = scores.detach()
    weighting = ((omega * values[:m]).sum() - (nu * values[m:]).sum()).square()
    descend(method, loss + weighting, "G", "W")
    labels = (batch[name].label[-m:] for name in ("x", "y"))
    method.progress.add(*((weights.detach(), label) for weights, label in zip((omega, nu), labels)))  # type: ignore[arg-type]


def mnm(method: MNM, batch: Mapping[str, Batch]) -> None:
    """Two domains. The code's own loop computes the fakes once more for its pool, in a call of its own: not here."""
    c, x, y = method.config, batch["0"].image, batch["1"].image
    f_x, g_x, c_x, f_y, g_y, c_y = (method.networks[f"{kind}_{i}"] for i in (0, 1) for kind in "fgC")
    of_x, of_y = f_x(x), f_y(y)
    fake_y, fake_x = g_y(of_x), g_x(of_y)
    total = c.cycle_weight * (F.l1_loss(g_x(f_y(fake_y)), x) + F.l1_loss(g_y(f_x(fake_x)), y))
    total = total + c.autoencoder_weight * (F.l1_loss(g_x(of_x), x) + F.l1_loss(g_y(of_y), y))
    total = total + lsgan(c_y(fake_y), c.real_label) + lsgan(c_x(fake_x), c.real_label)
    descend(method, total, "G")
    loss = torch.zeros(())
    for pool, network, real, fake in (("pool_0", c_x, x, fake_x), ("pool_1", c_y, y, fake_y)):
        old = method.memory[pool].query(fake.detach(), method.rng)  # type: ignore[attr-defined]
        loss = loss + 0.5 * (lsgan(network(real), c.real_label) + lsgan(network(old), 0.0))
    descend(method, loss, "C")


def mnm_zero_pair(method: MNMZeroPair, batch: Mapping[str, Batch]) -> None:
    """Between RGB domains. The code computes the gradients that it steps on and no others; its discriminator's step
    makes the translations once more, in a call of its own: not here."""
    c, anchor = method.config, method.anchor
    stage = method.stage(method.schedulers["G"].last_epoch)
    w = c.weights(stage)
    judges = {name: method.networks[f"C_{name}"] for name in method.modalities}
    reals: dict[str, list[Tensor]] = {name: [] for name in judges}
    fakes: dict[str, list[Tensor]] = {name: [] for name in judges}

    def decoded(latent: Latent, name: str, into_other: bool) -> Tensor:
        return method.networks[f"g_{name}"](method._noisy(latent, into_other) if stage else latent)

    def cost(latent: Latent, name: str, truth: Tensor, into_other: bool) -> Tensor:
        fakes[name].append(decoded(latent, name, into_other))
        return w.l2 * F.mse_loss(fakes[name][-1], truth) + w.gan * lsgan(judges[name](fakes[name][-1]), 1.0)

    method._freeze(stage > 0 and c.freeze_rgb)
    pairs = [(name, batch[f"{anchor} of {name}"].image, batch[name].image) for name in method._partners]
    pairs = [(name, *method._augmented(x, y, name)) for name, x, y in pairs]
    for judge in judges.values():
        judge.requires_grad_(False)
    total = torch.zeros(())
    for name, x, y in pairs:
        reals[anchor].append(x), reals[name].append(y)
        of_x, of_y = method.networks[f"f_{anchor}"](x), method.networks[f"f_{name}"](y)
        total = total + cost(of_x, name, y, True) + cost(of_y, anchor, x, False)
        if w.autoencoder != "off":
            total = total + cost(of_x, anchor, x, False) + cost(of_y, name, y, False)
        total = total + w.latent * F.mse_loss(of_x.code, of_y.code)
        for other in method._partners if w.pseudo else ():
            if other != name:
                with torch.no_grad():
                    teacher = method.networks[f"g_{other}"](of_x)
                total = total + w.pseudo * F.mse_loss(decoded(of_y, other, True), teacher)
    descend(method, total, "G")
    loss = torch.zeros(())
    for name, judge in judges.items():
        judge.requires_grad_(True)
        real, fake = torch.cat(reals[name]), torch.cat([image.detach() for image in fakes[name]])
        loss = loss + lsgan(judge(real), 1.0) + lsgan(judge(fake), 0.0)
    descend(method, loss, "C")


def pix2pix(method: Pix2Pix, batch: Mapping[str, Batch]) -> None:
    conditional(method, batch["source"].image, batch["target"].image, "G", "D")


def pix2pix_cascade(method: Pix2PixCascade, batch: Mapping[str, Batch]) -> None:
    """Between RGB domains: pix2pix for each hop."""
    for hop in ("first", "second"):
        conditional(method, batch[f"{hop} x"].image, batch[f"{hop} y"].image, f"G_{hop}", f"D_{hop}")


def conditional(method: Pix2Pix | Pix2PixCascade, x: Tensor, y: Tensor, generator: str, discriminator: str) -> None:
    """D does not require gradients in the step of G: that much the code saves itself."""
    g, d = method.networks[generator], method.networks[discriminator]
    fake = g(x, method.rng)
    bce = F.binary_cross_entropy_with_logits
    on_fake, on_real = d(x, fake.detach()), d(x, y)
    loss = 0.5 * (bce(on_fake, torch.zeros_like(on_fake)) + bce(on_real, torch.ones_like(on_real)))
    descend(method, loss, discriminator)
    d.requires_grad_(False)
    scores = d(x, fake)
    total = bce(scores, torch.ones_like(scores)) + method.config.lambda_l1 * F.l1_loss(fake, y)
    descend(method, total, generator)
    d.requires_grad_(True)


def unsb(method: UNSB, batch: Mapping[str, Batch]) -> None:
    """The code calls the generator once more at the end of its walk; what comes out is not used: not here."""
    c, (a, a2, b) = method.config, (batch[name].image for name in ("A", "A2", "B"))
    n, rng, g = len(a), method.rng, method.generator
    d, e, f = (method.networks[name] for name in "DEF")
    step = method.steps.integer(c.steps, rng)

    def codes(count: int) -> tuple[Tensor, ...]:
        return torch.randn(count * n, g.n_code, generator=rng).split(n)

    def at(now: int) -> Tensor:
        return torch.full((n,), now)

    points = [a, a2, b]
    with torch.no_grad():
        for now in range(step):
            guesses = [g(x, at(now), z) for x, z in zip(points, codes(3))]
            share, variance = bridge_mix(method.times, now + 1)
            noises = torch.randn(3 * n, *a.shape[1:], generator=rng).split(n)
            points = [
                (1 - share) * x + share * guess + (c.tau * variance) ** 0.5 * noise
                for x, guess, noise in zip(points, guesses, noises)
            ]
    (x, x2, xb), t = points, at(step)
    code, code_b = codes(2)
    y, yb = g(x, t, code), g(xb, t, code_b)
    y2 = g(x2, t, codes(1)[0])
    descend(method, 0.5 * (lsgan(d(b, t), 1.0) + lsgan(d(y.detach(), t), 0.0)), "D")

    def energies(y: Tensor, y2: Tensor) -> tuple[Tensor, Tensor]:
        bridge = torch.cat([x, y], 1)
        joint = e(torch.cat([bridge, bridge], 1), t).mean()
        return joint, e(torch.cat([bridge, x2, y2], 1), t).flatten().logsumexp(0)

    joint, apart = energies(y.detach(), y2.detach())
    descend(method, -joint + apart + apart.square(), "E")
    joint, apart = energies(y, y2)
    total = lsgan(d(y, t), 1.0) + c.sb_weight * c.tau * (
        (x - y).square().mean() - (c.steps - step) / c.steps * (joint - apart)
    )
    pairs = [(a, y), (b, yb)]
    keyed = []
    for (source, guess), z in zip(pairs, codes(2)):
        keyed.append([g.features(image, at(0), z, c.nce_layers) for image in (guess, source)])
    positions = draw_positions(keyed[0][1], 2, c.patches, rng)
    for pair, (queries, keys) in enumerate(keyed):
        chosen = [place[pair : pair + 1] for place in positions]
        projected, wanted = f(sample(queries, chosen)), f(sample(keys, chosen))
        nce = torch.stack([patch_nce(q, k.detach(), c.temperature) for q, k in zip(projected, wanted)])
        total = total + c.nce_weight * nce.mean() / 2
    descend(method, total, "G", "F")
    average(method, c.ema_decay)


def wgan(method: SmallTargetMethod, batch: Mapping[str, Batch], *names: str) -> None:
    """The critic's steps, then one of the optimizers `names`."""
    c, d = method.config, method.critic
    for real in batch["target"].image.chunk(c.critic_steps):
        with torch.no_grad():
            fake = method.fakes(len(real), method.rng)
        share = torch.rand(len(real), generator=method.rng)[:, None, None, None]
        between = (share * real + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        descend(method, d(fake).mean() - d(real).mean() + c.penalty_weight * penalty, "D")
    descend(method, -d(method.fakes(c.batch_size, method.rng)).mean(), *names)


def transfergan(method: TransferGAN, batch: Mapping[str, Batch]) -> None:
    wgan(method, batch, "G")


def minegan(method: MineGAN, batch: Mapping[str, Batch]) -> None:
    mining = method.counter.done < method.config.miner_steps
    method.generator.train(not mining)
    wgan(method, batch, *(["M"] if mining else ["M", "G"]))
    method.counter.done += 1


def unit(method: UNIT, batch: Mapping[str, Batch]) -> None:
    """The code encodes once for each step, and decodes every code by itself."""
    c, xa, xb = method.config, batch["source"].image, batch["target"].image
    dis_a, dis_b = method.networks["dis_a"], method.networks["dis_b"]
    h_a, h_b = method.encode("a", xa), method.encode("b", xb)
    x_ba, x_ab = method.decode("a", method.noisy(h_b)), method.decode("b", method.noisy(h_a))
    loss = sum_over_scales(c.gan, dis_a(x_ba.detach()), 0.0) + sum_over_scales(c.gan, dis_a(xa), 1.0)
    loss = loss + sum_over_scales(c.gan, dis_b(x_ab.detach()), 0.0) + sum_over_scales(c.gan, dis_b(xb), 1.0)
    descend(method, c.adv_weight * loss, "dis")
    h_a, h_b = method.encode("a", xa), method.encode("b", xb)
    z_a, z_b = method.noisy(h_a), method.noisy(h_b)
    rec_a, rec_b = method.decode("a", z_a), method.decode("b", z_b)
    x_ba, x_ab = method.decode("a", z_b), method.decode("b", z_a)
    again_b, again_a = method.encode("a", x_ba), method.encode("b", x_ab)
    x_aba, x_bab = method.decode("a", method.noisy(again_a)), method.decode("b", method.noisy(again_b))
    total = c.adv_weight * (sum_over_scales(c.gan, dis_a(x_ba), 1.0) + sum_over_scales(c.gan, dis_b(x_ab), 1.0))
    total = total + c.image_weight * (F.l1_loss(rec_a, xa) + F.l1_loss(rec_b, xb))
    total = total + c.cycle_weight * (F.l1_loss(x_aba, xa) + F.l1_loss(x_bab, xb))
    total = total + c.kl_weight * (h_a.square().mean() + h_b.square().mean())
    total = total + c.kl_cycle_weight * (again_a.square().mean() + again_b.square().mean())
    descend(method, total, "gen")
    average(method, c.ema_decay)


def ganhopper(method: GANHopper, batch: Mapping[str, Batch]) -> None:
    c, real_a, real_b = method.config, batch["A"].image, batch["B"].image
    g_ab, g_ba, d_a, d_b, h = (method.networks[name] for name in ("G_AB", "G_BA", "D_A", "D_B", "H"))
    a, b = real_a, real_b
    for k in range(1, c.hops + 1):
        way = k / c.hops
        fake_b, fake_a = g_ab(a), g_ba(b)
        total = c.adv_weight * (lsgan(d_b(fake_b), 1.0) + lsgan(d_a(fake_a), 1.0))
        total = total + c.hybrid_weight * (lsgan(h(fake_b), way) + lsgan(h(fake_a), 1 - way))
        total = total + c.cycle_weight * (F.l1_loss(g_ba(fake_b), a) + F.l1_loss(g_ab(fake_a), b))
        total = total + c.smooth_weight * (F.l1_loss(fake_b, a) + F.l1_loss(fake_a, b))
        descend(method, total, "G")
        b = method.pools["A"].query(fake_a.detach(), method.rng)
        a = method.pools["B"].query(fake_b.detach(), method.rng)
        loss = lsgan(d_a(real_a), 1.0) + lsgan(d_a(b), 0.0) + lsgan(d_b(real_b), 1.0) + lsgan(d_b(a), 0.0)
        descend(method, 0.5 * (loss + lsgan(h(real_b), 1.0) + lsgan(h(real_a), 0.0)), "D")
    average(method, c.ema_decay)


def drit(method: DRIT, batch: Mapping[str, Batch]) -> None:
    """With mode seeking. The second step computes its images anew: the code goes back through graphs of old weights."""
    c, half = method.config, method.config.batch_size // 2
    nets: Mapping[str, Any] = method.networks
    enc_c, gen, judge = nets["enc_c"], nets["gen"], nets["dis_content"]

    def bce(maps: list[Tensor], wanted: float) -> Tensor:
        return sum_over_scales("nsgan", maps, wanted)

    def content_step(c_a: Tensor, c_b: Tensor) -> None:
        method.optimizers["dis_content"].zero_grad(set_to_none=True)
        (bce([judge(c_a.detach())], 0.0) + bce([judge(c_b.detach())], 1.0)).backward()
        torch.nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
        method.optimizers["dis_content"].step()

    pairs = list(zip(batch["source"].image.split(half), batch["target"].image.split(half)))
    for a, b in pairs[:-1]:
        noise = method._content_noise(half)
        content_step(enc_c(a, 0) + noise[0], enc_c(b, 1) + noise[1])
    a, b = pairs[-1]
    noise, z1, z2 = method._content_noise(half), method._attributes(half), method._attributes(half)
    c_a, c_b = enc_c(a, 0) + noise[0], enc_c(b, 1) + noise[1]
    s_a, s_b = method.attribute(a, 0), method.attribute(b, 1)
    fake_a, same_a = gen(c_b, s_a.sample, 0), gen(c_a, s_a.sample, 0)
    fake_b, same_b = gen(c_a, s_b.sample, 1), gen(c_b, s_b.sample, 1)
    loss = torch.zeros(())
    for name, fake, real in (("dis_a", fake_a, a), ("dis_b", fake_b, b)):
        loss = loss + bce(nets[name](fake.detach()), 0.0) + bce(nets[name](real), 1.0)
    for z in (z1, z2):
        for name, fake, real in (("dis_a2", gen(c_b, z, 0), "source"), ("dis_b2", gen(c_a, z, 1), "target")):
            loss = loss + bce(nets[name](fake.detach()), 0.0) + bce(nets[name](batch[f"{real}_real"].image), 1.0)
    descend(method, c.adv_weight * loss, "dis")
    content_step(c_a, c_b)
    again = method._content_noise(half)
    c_b_again, c_a_again = enc_c(fake_a, 0) + again[0], enc_c(fake_b, 1) + again[1]
    back_a = gen(c_a_again, method.attribute(fake_a, 0).sample, 0)
    back_b = gen(c_b_again, method.attribute(fake_b, 1).sample, 1)
    total = c.adv_weight * (bce(nets["dis_a"](fake_a), 1.0) + bce(nets["dis_b"](fake_b), 1.0))
    total = total + c.content_adv_weight * (bce([judge(c_a)], 0.5) + bce([judge(c_b)], 0.5))
    total = total + c.cross_cycle_weight * (F.l1_loss(back_a, a) + F.l1_loss(back_b, b))
    total = total + c.reconstruction_weight * (F.l1_loss(same_a, a) + F.l1_loss(same_b, b))
    for s in (s_a, s_b):
        total = total - 0.5 * c.kl_weight * (1 + s.log_variance - s.mean.square() - s.log_variance.exp()).sum()
    total = total + c.content_weight * (c_a.square().mean() + c_b.square().mean())
    descend(method, total, "enc_c", "enc_a", "gen")
    c_a, c_b = enc_c(a, 0) + noise[0], enc_c(b, 1) + noise[1]
    total = torch.zeros(())
    for d, name, content in ((0, "dis_a2", c_b), (1, "dis_b2", c_a)):
        first, second = gen(content, z1, d), gen(content, z2, d)
        total = total + c.adv_weight * (bce(nets[name](first), 1.0) + bce(nets[name](second), 1.0))
        total = total + c.latent_weight * F.l1_loss(nets["enc_a"](first, d)[0], z1)
        total = total + 1 / (F.l1_loss(second, first) / F.l1_loss(z2, z1) + 1e-5)
    descend(method, total, "enc_c", "gen")
    average(method, c.ema_decay)


def alike(network: nn.Module, *passes: tuple[Any, ...]) -> list[Any]:
    """Passes with the same spectral norms, whose vectors move once a step here, with every pass in the code."""
    start = [buffer.clone() for buffer in network.buffers()]
    results = []
    for inputs in passes:
        for buffer, value in zip(network.buffers(), start):
            buffer.copy_(value)
        results.append(network(*inputs))
    return results


def ugatit(method: UGATIT, batch: Mapping[str, Batch]) -> None:
    """The code translates once for each step."""
    c, a, b = method.config, batch["source"].image, batch["target"].image
    a2b, b2a = method.networks["G_A2B"], method.networks["G_B2A"]
    judges = {domain: [method.networks[f"D_{domain}_{name}"] for name in c.discriminators] for domain in "AB"}
    loss = torch.zeros(())
    for domain, real, fake in (("A", a, b2a(b)[0]), ("B", b, a2b(a)[0])):
        for judge in judges[domain]:
            on_real, on_fake = alike(judge, (real,), (fake.detach(),))
            loss = loss + sum(lsgan(scores, 1.0) for scores in on_real) + sum(lsgan(scores, 0.0) for scores in on_fake)
    descend(method, c.adv_weight * loss, "D")
    (fake_b, cam_ab), (fake_a, cam_ba), (same_b, cam_bb), (same_a, cam_aa) = a2b(a), b2a(b), a2b(b), b2a(a)
    total = c.cycle_weight * (F.l1_loss(b2a(fake_b)[0], a) + F.l1_loss(a2b(fake_a)[0], b))
    total = total + c.identity_weight * (F.l1_loss(same_a, a) + F.l1_loss(same_b, b))
    for domain, fake in (("A", fake_a), ("B", fake_b)):
        for judge in judges[domain]:
            total = total + c.adv_weight * sum(lsgan(scores, 1.0) for scores in judge(fake))
    for foreign, own in ((cam_ab, cam_bb), (cam_ba, cam_aa)):
        yes = F.binary_cross_entropy_with_logits(foreign, torch.ones_like(foreign))
        total = total + c.cam_weight * (yes + F.binary_cross_entropy_with_logits(own, torch.zeros_like(own)))
    descend(method, total, "G")
    clamp_rho(a2b)
    clamp_rho(b2a)
    average(method, c.ema_decay)


def dmit(method: DMIT, batch: Mapping[str, Batch]) -> None:
    """Every image decoded and judged by itself; the later steps compute their images anew."""
    c = method.config
    nets: Mapping[str, Any] = method.networks
    enc_c, enc_s, decoder, judge = nets["enc_content"], nets["enc_style"], nets["decoder"], nets["D_content"]
    x = torch.cat([batch["source"].image, batch["target"].image])
    own = method._one_hot(torch.cat([batch["source"].label, batch["target"].label]))
    n = len(x) // 2
    wanted, z1, z2 = own.roll(n, 0), method._noise(2 * n), method._noise(2 * n)
    content, (mean, log_variance) = enc_c(x), enc_s(x)
    style = mean + method._noise(2 * n) * (0.5 * log_variance).exp()
    codes = (own, style), (wanted, style.roll(n, 0)), (wanted, z1)
    rebuilt, encoded, drawn = alike(decoder, *((content, *code, method.rng) for code in codes))
    on_own, on_wanted = alike(judge, (content.detach(), own), (content.detach(), wanted))
    descend(method, c.gan_weight * (lsgan(on_own, 1.0) + lsgan(on_wanted, 0.0)), "D_content")
    loss = torch.zeros(())
    for name, fake in (("D_encoded", encoded), ("D_drawn", drawn)):
        maps = alike(nets[name], (x, own), (x, wanted), (fake.detach(), wanted))
        for right, wrong, made in zip(*maps):
            loss = loss + L.hinge_real(right) + 0.5 * (L.hinge_fake(wrong) + L.hinge_fake(made))
    descend(method, c.gan_weight * loss, "D_images")
    total = c.gan_weight * lsgan(judge(content, wanted), 1.0) + c.rec_weight * F.l1_loss(rebuilt, x)
    for name, fake in (("D_encoded", encoded), ("D_drawn", drawn)):
        total = total - c.gan_weight * sum(scores.mean() for scores in nets[name](fake, wanted))
    total = total + c.cycle_weight * F.l1_loss(decoder(enc_c(encoded), own, style, method.rng), x)
    total = total - 0.5 * c.kl_weight * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    descend(method, total, "enc_content", "enc_style", "decoder")
    content = enc_c(x)
    first, second = alike(decoder, *((content, wanted, z, method.rng) for z in (z1, z2)))
    total = c.diversity_weight * F.l1_loss(z1, z2) / (F.l1_loss(first, second) + 1e-5)
    descend(method, total + c.style_weight * F.l1_loss(enc_s(first)[0], z1), "decoder")
    content = enc_c(x)
    again = enc_c(decoder(content, wanted, z1, method.rng))
    descend(method, c.content_weight * F.l1_loss(again, content), "enc_content")
    average(method, c.ema_decay)


def nicegan(method: NICEGAN, batch: Mapping[str, Batch]) -> None:
    """The code also runs the discriminators' heads on the real images of the generators' step and throws that away."""
    c, a, b = method.config, batch["source"].image, batch["target"].image
    nets: Mapping[str, Any] = method.networks
    (real_a, z_a), (real_b, z_b) = nets["disA"](a), nets["disB"](b)
    fake_b, fake_a = nets["gen2B"](z_a).detach(), nets["gen2A"](z_b).detach()
    loss = torch.zeros(())
    for name, real, fake in (("disA", real_a, fake_a), ("disB", real_b, fake_b)):
        loss = loss + sum(lsgan(out, 1.0) for out in real) + sum(lsgan(out, 0.0) for out in nets[name](fake)[0])
    descend(method, c.adv_weight * loss, "D")
    z_a, z_b = nets["disA"].encode(a)[0], nets["disB"].encode(b)[0]
    fake_b, fake_a = nets["gen2B"](z_a), nets["gen2A"](z_b)
    (on_a, z_fake_a), (on_b, z_fake_b) = nets["disA"](fake_a), nets["disB"](fake_b)
    total = c.adv_weight * (sum(lsgan(out, 1.0) for out in on_a) + sum(lsgan(out, 1.0) for out in on_b))
    total = total + c.cycle_weight * (F.l1_loss(nets["gen2A"](z_fake_b), a) + F.l1_loss(nets["gen2B"](z_fake_a), b))
    rebuilt = F.l1_loss(nets["gen2A"](z_a), a) + F.l1_loss(nets["gen2B"](z_b), b)
    descend(method, total + c.reconstruction_weight * rebuilt, "G")
    average(method, c.ema_decay)


def icgan(method: IcGAN, batch: Mapping[str, Batch]) -> None:
    """An iteration of the GAN."""
    c, real, y = method.config, batch["images"].image, method.attributes(batch["images"])
    g, d = method.networks["G"], method.networks["D"]
    z = torch.randn(len(real), c.latent, generator=method.rng)
    torch.randperm(len(y), generator=method.rng)  # whose wrong attributes are taken: without classes all are alike
    fake = g(z, y)
    true, wrong, made = d(real, y), d(real, -y), d(fake.detach(), y)
    loss = F.softplus(-true).mean() + c.wrong_weight * F.softplus(wrong).mean()
    descend(method, loss + c.fake_weight * F.softplus(made).mean(), "D")
    descend(method, F.softplus(-d(fake, y)).mean(), "G")


def uvcgan2(method: UVCGAN2, batch: Mapping[str, Batch]) -> None:
    """Each direction by itself; D does not require gradients in the step of G. The head also scores old maps."""
    c, a, b = method.config, batch["A"].image, batch["B"].image
    g_ab, g_ba, d_a, d_b = (method.networks[name] for name in ("G_AB", "G_BA", "D_A", "D_B"))
    for d in (d_a, d_b):
        d.requires_grad_(False)
    fakes, total = {}, torch.zeros(())
    for there, back, d, name, x in ((g_ab, g_ba, d_b, "B", a), (g_ba, g_ab, d_a, "A", b)):
        fake = fakes[name] = there(x)
        total = total + lsgan(d(fake, earlier=method.caches[f"fake_{name}"].maps)[0], 1.0)
        total = total + c.cycle_weight * F.l1_loss(back(fake), x) / 2
    for own, x in ((g_ba, a), (g_ab, b)):
        total = total + c.cycle_weight * c.identity_weight * F.l1_loss(own(x), x) / 2
    descend(method, total, "G")
    loss = torch.zeros(())
    for name, d, real in (("B", d_b, b), ("A", d_a, a)):
        d.requires_grad_(True)
        fake, caches = fakes[name].detach(), [method.caches[f"{kind}_{name}"] for kind in ("real", "fake")]
        share = torch.rand(1, generator=method.rng)
        mixture = (share * real + (1 - share) * fake).requires_grad_()
        old = None if caches[0].maps is None else share * caches[0].maps + (1 - share) * caches[1].maps
        (slope,) = torch.autograd.grad(d(mixture, earlier=old)[0].mean((1, 2, 3)).sum(), mixture, create_graph=True)
        loss = loss + c.penalty_weight * (2 * slope).flatten(1).norm(dim=1).square().mean()
        for x, cache, wanted in ((real, caches[0], 1.0), (fake, caches[1], 0.0)):
            scores, maps = d(x, earlier=cache.maps)
            cache.push(maps)
            loss = loss + 0.5 * lsgan(scores, wanted)
    descend(method, loss, "D")
    average(method, c.ema_decay)


def diffusion(method: DiffusionMethod, batch: Mapping[str, Batch]) -> None:
    """Also DDIB, with two models, and SDEdit, with one."""
    for name in method.domains:
        x, network, optimizer = batch[name].image, method.networks[name], method.optimizers[name]
        t = torch.randint(len(method.a), (len(x),), generator=method.rng)
        noise = torch.randn(x.shape, generator=method.rng)
        signal = method.a[t].view(-1, 1, 1, 1)
        guess = network(signal.sqrt() * x + (1 - signal).sqrt() * noise, t, method.rng)
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(guess, noise).backward()
        nn.utils.clip_grad_norm_(network.parameters(), method.config.max_gradient)
        optimizer.step()
    average(method, method.config.ema_decay)


RECIPES = {
    "cut": cut,
    "cyclegan": cyclegan,
    "munit": munit,
    "funit": funit,
    "balagan": funit,
    "sdit": sdit,
    "stargan": stargan,
    "starganv2": starganv2,
    "deepi2i": deepi2i,
    "jdbw": jdbw,
    "mnm": mnm,
    "mnm-zero-pair": mnm_zero_pair,
    "pix2pix": pix2pix,
    "pix2pix-cascade": pix2pix_cascade,
    "unsb": unsb,
    "transfergan": transfergan,
    "minegan": minegan,
    "unit": unit,
    "ganhopper": ganhopper,
    "drit": drit,
    "ugatit": ugatit,
    "dmit": dmit,
    "nicegan": nicegan,
    "udit": munit,
    "icgan": icgan,
    "uvcgan2": uvcgan2,
    "ddib": diffusion,
    "sdedit": diffusion,
}
