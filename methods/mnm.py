"""M&MNets between unpaired domains (Wang et al., CVPR 2018; thesis chapter 4; code yaxingwang/Mix-and-match-networks).

One encoder f_i and one decoder g_i a domain, all meeting in one latent space, and a discriminator C_i. Domain 0 is the
anchor: only anchor -> i and i -> anchor are trained (with cycles and autoencoders); any other pair is joined unseen.
With the source and the target alone it is a CycleGAN whose two directions share encoders and decoders. With
classes=labels the largest source class is the anchor, and the target's output for every other class is unseen.

The thesis and the public code differ; `arch: code` with the code's losses is the default. Two slips of the code are not
copied: its autoencoder of the anchor goes through an untrained decoder for i >= 2, and its anchor discriminator sees
the fakes of one domain in turn. The averaged weights of the cpu preset are ours. Zero-pair translation between
modalities is methods/mnm_zero_pair/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import (
    Artifacts,
    Batch,
    Config,
    DiscriminatorFields,
    Method,
    Stream,
    Task,
    TaskData,
    Unfit,
    register,
    setting,
)
from bench.methods.nn import ema
from bench.methods.nn.image_pool import ImagePool
from bench.methods.nn.losses import lsgan
from bench.methods.nn.mnm_networks import (
    CodeDecoder,
    CodeDiscriminator,
    CodeEncoder,
    Latent,
    SideInformation,
    ThesisDecoder,
    ThesisDiscriminator,
    ThesisEncoder,
    cat,
    init,
)


@dataclass(frozen=True)
class MNMConfig(Config, DiscriminatorFields):
    """M&MNets' settings between unpaired domains."""

    resolution: int = 128
    batch_size: int = setting(1, "images of each domain in one step")
    budget_kimg: float = setting(200.0, "thousands of source images seen in training; 200,000 steps of one image")

    classes: Literal["domain", "labels"] = setting(
        "domain", "domain: source and target; labels: every class of the source is a domain of its own"
    )
    arch: Literal["code", "thesis"] = setting(
        "code", "networks of the public code, or of the thesis (7x7 convs and max pooling)"
    )
    width: int = setting(64, "channels after the first conv of every network", low=1)
    blocks: int | None = setting(
        None, "residual blocks of an encoder; none: 6 up to 128 pixels, then 9 (code); 6 (thesis)"
    )
    init_std: float = setting(
        0.02, "standard deviation of all convs' first weights; the thesis prints 0.5 for its networks", above=0
    )
    latent_mask: bool = setting(
        True, "the latent is r + mask * r, as in the code; its authors note that the mask does not matter"
    )
    side: SideInformation = setting(
        "pooling_indices", "what thesis decoders get from the encoder; the networks of the code pool nothing"
    )

    real_label: float = setting(0.9, "target of the least squares for real images")
    cycle_weight: float = setting(10.0, "weight of the cycle loss")
    autoencoder_weight: float = setting(10.0, "weight of the reconstruction within a domain")
    latent_noise_std: float = setting(
        0.0, "standard deviation of the noise on every latent in training; 0.5 where modalities are paired"
    )
    latent_cycle: float = setting(
        0.0, "weight of |f_i(T_0i(x)) - f_0(x)|_1 and its mirror; neither code nor thesis has it here"
    )
    pool_size: int = setting(50, "past translations of each domain that its discriminator is shown; 0: none")

    lr: float = setting(
        2e-4, "learning rate of all networks for the first half of the training, then linear to 0", above=0
    )
    beta1: float = setting(0.5, "Adam's decay of the mean gradient", below=1)
    ema_decay: float | None = setting(
        None, "decay of averages that translate; none: no average, as in the paper; short runs are noisy", high=1
    )

    @property
    def boundary(self) -> float:
        return self.real_label / 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution % 16 or self.resolution < 32:
            raise Unfit(
                f"M&MNets cannot take resolution {self.resolution}; choose a multiple of 16 that is at least 32"
            )

    @property
    def n_blocks(self) -> int:
        if self.blocks is not None:
            return self.blocks
        return 9 if self.arch == "code" and self.resolution > 128 else 6


@register
class MNM(Method):
    """Encoders and decoders of several domains that meet in one latent space; deterministic."""

    name = "mnm"
    aliases = ("mnmnets", "mix-and-match")
    paper = "Wang et al., Mix and Match Networks: Encoder-Decoder Alignment for Zero-Pair Image Translation, CVPR 2018"
    year = 2018
    kind = "unpaired"
    needs = ()
    Config = MNMConfig
    discriminators = ("C_*",)
    presets = {
        "paper": {},
        "cpu": {
            "resolution": 32,
            "batch_size": 8,
            "budget_kimg": 16.0,
            "width": 16,
            "blocks": 2,
            "lr": 4e-4,
            "ema_decay": 0.995,
        },
        "smoke": {"resolution": 32, "batch_size": 2, "width": 4, "blocks": 1, "budget_kimg": 0.02},
    }
    label_of = "source"

    @classmethod
    def whole_batch(cls, config: MNMConfig) -> str | None:
        return None

    def __init__(self, task: Task, config: MNMConfig) -> None:
        super().__init__(task, config)
        self.config: MNMConfig = config
        self.n_domains = 2 if config.classes == "domain" else task.n_labels + 1
        for i in range(self.n_domains):
            encoder, decoder, discriminator = self._networks()
            self.networks |= {f"f_{i}": encoder, f"g_{i}": decoder, f"C_{i}": discriminator}
            if config.ema_decay is not None:
                self.ema |= {name: ema.copy_of(self.networks[name]) for name in (f"f_{i}", f"g_{i}")}
            self.memory[f"pool_{i}"] = ImagePool(config.pool_size)
        for name, kinds in (("G", "fg"), ("C", "C")):
            parameters = [p for key, net in self.networks.items() if key[0] in kinds for p in net.parameters()]
            self.optimizers[name] = torch.optim.Adam(parameters, config.lr, betas=(config.beta1, 0.999), fused=True)
            self.schedulers[name] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[name], self.rate)
        self._domain_of = np.zeros(1, np.int64)  # of each source class
        self._empty: set[int] = set()  # domains of source classes without an image

    def _networks(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        config, channels = self.config, self.task.channels
        networks: tuple[nn.Module, nn.Module, nn.Module]
        if config.arch == "code":
            networks = (
                CodeEncoder(channels, config.width, config.n_blocks, config.latent_mask),
                CodeDecoder(channels, config.width),
                CodeDiscriminator(channels, config.width),
            )
        else:
            networks = (
                ThesisEncoder(channels, config.width, config.n_blocks),
                ThesisDecoder(channels, config.width, config.side, config.n_blocks),
                ThesisDiscriminator(channels, config.width),
            )
        for network in networks:
            init(network, config.init_std)
        return networks

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate: 1 in the first half of the training, then linear to 0."""
        return min(1.0, 2.0 * (1.0 - step / self.total_steps))

    @classmethod
    def check(cls, task: Task, config: MNMConfig, data: TaskData | None = None) -> None:
        if config.classes == "domain":
            return
        if not task.n_labels:
            raise Unfit("classes=labels: this data set has no labels; choose classes=domain")
        unlabelled = 0 if data is None else int((data.source_train.labels < 0).sum())
        if unlabelled:
            raise Unfit(f"classes=labels: {unlabelled} source images have no label; choose classes=domain")

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        """Orders the source classes: the largest is the anchor."""
        if self.config.classes == "domain":
            return
        labels = data.source_train.labels
        sizes = np.bincount(labels, minlength=self.task.n_labels)
        order = np.argsort(-sizes, kind="stable")
        self._domain_of = np.empty(self.task.n_labels, np.int64)
        self._domain_of[order] = np.arange(self.task.n_labels)
        self._empty = {int(self._domain_of[c]) for c in np.flatnonzero(sizes == 0)}

    @property
    def _others(self) -> list[int]:
        """The domains that are trained beside the anchor; source classes without an image are left out."""
        return [i for i in range(1, self.n_domains) if i not in self._empty]

    def streams(self, data: TaskData) -> dict[str, Stream]:
        n, target = self.config.batch_size, self.n_domains - 1
        streams = {str(target): Stream("target", n, "uniform")}
        if self.config.classes == "domain":
            return {"0": Stream("source", n), **streams}
        domain = self._domain_of[data.source_train.labels]
        for i in (0, *self._others[:-1]):
            streams[str(i)] = Stream("source", n, "uniform" if i else "shuffled", rows=np.flatnonzero(domain == i))
        return streams

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        images = {i: batch[str(i)].image for i in (0, *self._others)}
        fakes, losses = self._generator_step(images)
        losses |= self._discriminator_step(images, fakes)
        self.once(lambda: ema.follow(self.ema, self.networks, self.config.ema_decay))
        return losses

    def _generator_step(self, images: dict[int, Tensor]) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """The loss of encoders and decoders, summed over domains. Returns the fakes of each domain and the losses.

        Every layer treats each image by itself, so what goes through one network goes through it in one batch.
        """
        nets, others, n = self.networks, self._others, len(images[0])
        codes = {i: nets[f"f_{i}"](x) for i, x in images.items()}
        into_anchor = self._decode(0, cat([codes[i] for i in (0, *others)]), len(images)).split(n)
        same = {0: into_anchor[0]}
        to_anchor = dict(zip(others, into_anchor[1:]))
        from_anchor = {}
        for i in others:
            from_anchor[i], same[i] = self._decode(i, cat([codes[0], codes[i]]), 2).split(n)

        back = nets["f_0"](torch.cat([to_anchor[i] for i in others])).split([n] * len(others))
        forth = {i: nets[f"f_{i}"](from_anchor[i]) for i in others}
        cycled = self._decode(0, cat([forth[i] for i in others]), len(others)).split(n)
        cycles = [F.l1_loss(image, images[0]) for image in cycled]
        cycles += [F.l1_loss(self._decode(i, back[k]), images[i]) for k, i in enumerate(others)]

        wanted = self.config.real_label
        gan = [lsgan(nets[f"C_{i}"](from_anchor[i]), wanted) for i in others]
        gan += [lsgan(scores, wanted) for scores in nets["C_0"](torch.cat(list(to_anchor.values()))).split(n)]
        autoencoder = [len(others) * F.l1_loss(same[0], images[0])] + [F.l1_loss(same[i], images[i]) for i in others]
        terms = {"gan": gan, "cycle": cycles, "autoencoder": autoencoder}
        weights = {"gan": 1.0, "cycle": self.config.cycle_weight, "autoencoder": self.config.autoencoder_weight}
        if self.config.latent_cycle:
            terms["latent_cycle"] = [F.l1_loss(forth[i].code, codes[0].code) for i in others]
            terms["latent_cycle"] += [F.l1_loss(back[k].code, codes[i].code) for k, i in enumerate(others)]
            weights["latent_cycle"] = self.config.latent_cycle
        losses = {name: torch.stack(parts).sum() for name, parts in terms.items()}
        self.minimise("G", torch.stack([weights[name] * loss for name, loss in losses.items()]).sum())
        fakes = {0: torch.cat([to_anchor[i] for i in others]).detach()}
        fakes |= {i: from_anchor[i].detach() for i in others}
        return fakes, {name: loss.detach() for name, loss in losses.items()}

    def _decode(self, domain: int, latent: Latent, blocks: int = 1) -> Tensor:
        """g_domain, with noise on the latent where the config asks for it; `blocks` batches behind each other."""
        if self.config.latent_noise_std:
            code, std = latent.code, self.config.latent_noise_std
            noise = self.draw(
                lambda m: torch.randn(m, *code.shape[1:], generator=self.rng, device=self.device), len(code), blocks
            )
            latent = latent.with_code(code + std * noise)
        return self.networks[f"g_{domain}"](latent)

    def _discriminator_step(self, images: dict[int, Tensor], fakes: dict[int, Tensor]) -> dict[str, Tensor]:
        """((C(real) - 0.9)^2 + C(fake)^2) / 2, the anchor's over the fakes of all domains."""
        losses: dict[int, Tensor] = {}
        for i, real in images.items():
            pool = self.memory[f"pool_{i}"]
            assert isinstance(pool, ImagePool)
            old = self.over_batch(partial(pool.query, rng=self.rng), fakes[i], len(fakes[i]) // len(real))
            on_real, on_fake = self.networks[f"C_{i}"](torch.cat([real, old])).split([len(real), len(old)])
            self.saw_real(self.networks[f"C_{i}"], on_real)
            losses[i] = 0.5 * (lsgan(on_real, self.config.real_label) + lsgan(on_fake, 0.0))
        total = torch.stack(list(losses.values())).sum()
        self.minimise("C", total)
        return {"C": total.detach(), "C_target": losses[self.n_domains - 1].detach()}

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        """g_target(f_i(source)); i is the domain of each source's class, the anchor where that is not known."""
        decoder = self._trained(f"g_{self.n_domains - 1}")
        if self.config.classes == "domain":
            return decoder(self._trained("f_0")(source))
        if label is None:
            raise ValueError("classes=labels needs the label of each source")
        table = torch.from_numpy(self._domain_of).to(source.device)
        domain = torch.where(label >= 0, table[label.clamp(min=0)], 0)
        result = torch.empty_like(source)
        for i in domain.unique().tolist():
            chosen = domain == i
            encoder = self._trained(f"f_{i}") if i in (0, *self._others) else self._trained("f_0")
            result[chosen] = decoder(encoder(source[chosen])).to(result.dtype)
        return result

    @torch.no_grad()
    def translate_back(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """g_anchor(f_target(x))."""
        return self._trained("g_0")(self._trained(f"f_{self.n_domains - 1}")(images))

    @torch.no_grad()
    def bottleneck(self, images: Tensor, domain: str) -> Tensor | None:
        """f(x) of the source or the target; None where every class of the source is a domain of its own."""
        if self.config.classes == "labels" or domain not in self.task.names[:2]:
            return None
        return self._trained(f"f_{self.task.names.index(domain)}")(images).code

    def _trained(self, name: str) -> nn.Module:
        return self.ema.get(name, self.networks[name])
