"""M&MNets between modalities that were never seen together (Wang et al., CVPR 2018 and thesis chapter 4).

The scenes of the training set show the anchor beside one other modality at a time: (RGB, segmentation) and (RGB,
depth), or (theta1, theta2) and (theta1, RGB). The pairs with the anchor are trained as translations, with autoencoders
and aligned latents; source -> target is then f_source joined to g_target, a pair that no training image shows. Pseudo-
pairs train that join on what the anchor's branch predicts. With `companion` the anchor's image of the same scene is
given at test time too.

Where thesis and code differ the thesis is the default and `loss_preset: code` the other. The thesis prints the image
weight as lR * lL2 = 1,000 in the later stages; the code's 100 is what we read it as. RGB <-> RGB of unpaired domains is
methods/mnm.py.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench import Artifacts, Batch, Domain, Method, Stream, Task, TaskData, Unfit, companions, register
from bench.methods.mnm_zero_pair.config import Weights, ZeroPairConfig
from bench.methods.mnm_zero_pair.networks import discriminator, encoder_and_decoder, imagenet
from bench.methods.nn.losses import lsgan
from bench.methods.nn.mnm_networks import Latent, load_vgg16
from bench.methods.nn.modalities import Modality, alignment_factor, zoomed


@register
class MNMZeroPair(Method):
    """Encoders and decoders of several modalities, trained on pairs with an anchor, joined unseen; deterministic."""

    name = "mnm-zero-pair"
    aliases = ("mnm-cross-modal",)
    paper = "Wang et al., Mix and Match Networks: Encoder-Decoder Alignment for Zero-Pair Image Translation, CVPR 2018"
    year = 2018
    kind = "paired"
    needs = ("anchor", "weights")
    Config = ZeroPairConfig
    discriminators = ("C_*",)
    presets = {
        "paper": {},
        "opponent": {
            "resolution": 128, "batch_size": 4, "budget_kimg": 400.0, "arch": "thesis", "grey_loss": "l2",
            "stage1_share": 0.0, "stage2_share": 0.6, "freeze_rgb": False, "last_lr_factor": 1.0, "rgb_init": "random",
            "flip": False, "zoom": 0.0,
        },
        "cpu": {
            "resolution": 32, "batch_size": 8, "budget_kimg": 10.0, "arch": "thesis", "width": 8, "blocks": 1,
            "grey_loss": "l2", "stage1_share": 0.0, "stage2_share": 0.5, "freeze_rgb": False, "last_lr_factor": 1.0,
            "rgb_init": "random", "lr": 1e-3, "flip": False, "zoom": 0.0,
        },
        "smoke": {
            "resolution": 32, "batch_size": 2, "budget_kimg": 0.02, "arch": "thesis", "width": 4, "blocks": 1,
            "rgb_init": "random", "stage1_share": 0.0, "stage2_share": 0.0, "freeze_rgb": False,
        },
    }  # fmt: skip

    @classmethod
    def whole_batch(cls, config: ZeroPairConfig) -> str | None:
        return "losses of label maps and of depth look at several images"

    def __init__(self, task: Task, config: ZeroPairConfig) -> None:
        super().__init__(task, config)
        self.config: ZeroPairConfig = config
        self.modalities = {
            name: Modality(kind, task.channels, config.n_ids, config.far, config.grey_loss)
            for name, kind in zip(task.names, task.kinds)
        }
        for name, modality in self.modalities.items():
            encoder, decoder = encoder_and_decoder(modality, config)
            self.networks |= {f"f_{name}": encoder, f"g_{name}": decoder}
            if modality.kind == "rgb":
                self.networks[f"C_{name}"] = discriminator(modality, config)
        self.source, self.target = task.names[0], task.names[1]
        self.anchor = ""  # found in prepare
        for key, kinds in (("G", "fg"), ("C", "C")):
            parameters = [p for name, net in self.networks.items() if name[0] in kinds for p in net.parameters()]
            if parameters:
                self.optimizers[key] = torch.optim.Adam(parameters, config.lr, betas=(config.beta1, 0.999), fused=True)
                self.schedulers[key] = torch.optim.lr_scheduler.LambdaLR(self.optimizers[key], self.rate)

    def stage(self, step: int) -> int:
        """0, 1 or 2."""
        return self.config.stage(step / self.total_steps)

    def rate(self, step: int) -> float:
        """Multiplier of the learning rate."""
        return self.config.last_lr_factor if self.stage(step) == 2 else 1.0

    @classmethod
    def check(cls, task: Task, config: ZeroPairConfig, data: TaskData | None = None) -> None:
        if len(task.names) < 3:
            raise Unfit(
                "mnm-zero-pair needs a third domain that is paired with source and target; use mnm for two domains"
            )
        if config.arch == "vgg" and config.rgb_init == "vgg16" and task.channels != 3:
            raise Unfit(f"rgb_init=vgg16 needs RGB images, not {task.channels} channel; choose rgb_init=random")
        if data is None:
            return
        anchor = find_anchor(_domains(data), dict(zip(task.names, task.kinds)))
        if config.companion and anchor == data.source_train.name:
            raise Unfit(f"companion=True: the source {anchor} is the anchor itself; set companion=false")
        if config.companion:
            companions(data, anchor)

    def prepare(self, data: TaskData, artifacts: Artifacts) -> None:
        """Finds the anchor: the domain whose training scenes are also shown by every other domain."""
        self.anchor = find_anchor(_domains(data), {name: modality.kind for name, modality in self.modalities.items()})
        if self.config.companion:
            self.companion = self.anchor
        if self.config.arch == "vgg" and self.config.rgb_init == "vgg16":
            for name, modality in self.modalities.items():
                if modality.kind == "rgb":
                    load_vgg16(self.networks[f"f_{name}"])

    @property
    def _partners(self) -> list[str]:
        return [name for name in self.modalities if name != self.anchor]

    def streams(self, data: TaskData) -> dict[str, Stream]:
        """Draws for each other modality its images that show a scene of the anchor, and beside them the anchor's."""
        domains = {"source": data.source_train, "target": data.target_train, **data.others}
        pool = {domain.name: key for key, domain in domains.items()}
        streams = {}
        for name in self._partners:
            domain = domains[pool[name]]
            position = domains[pool[self.anchor]].matches(domain)
            rows = np.flatnonzero(position >= 0)
            streams[name] = Stream(pool[name], self.config.batch_size, "uniform", rows=rows)
            streams[f"{self.anchor} of {name}"] = Stream(
                pool[self.anchor], self.config.batch_size, follows=name, partners=position
            )
        return streams

    def train_step(self, batch: Mapping[str, Batch]) -> dict[str, Tensor]:
        step = self.schedulers["G"].last_epoch
        stage = self.stage(step)
        self._freeze(stage > 0 and self.config.freeze_rgb)
        scenes = {}
        for name in self._partners:
            scenes[name] = self._augmented(batch[f"{self.anchor} of {name}"].image, batch[name].image, name)
        losses, reals, fakes = self._translators(scenes, stage)
        if "C" in self.optimizers:
            losses |= self._discriminators(reals, fakes, step)
        return losses

    def _freeze(self, frozen: bool) -> None:
        for name, modality in self.modalities.items():
            if modality.kind == "rgb":
                self.networks[f"f_{name}"].requires_grad_(not frozen).train(not frozen)

    def _augmented(self, x: Tensor, y: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Images of the anchor and of modality `name`, each scene mirrored and zoomed alike in both."""
        if self.config.flip and self.task.mirror:
            flip = torch.rand(len(x), 1, 1, 1, generator=self.rng, device=self.device) < 0.5
            x, y = torch.where(flip, x.flip(3), x), torch.where(flip, y.flip(3), y)
        if self.config.zoom:
            random = 2 * torch.rand(len(x), generator=self.rng, device=self.device) - 1
            x, y = (
                zoomed(image, 1 + self.config.zoom * random, self.modalities[domain].kind)
                for image, domain in ((x, self.anchor), (y, name))
            )
        return x, y

    def _translators(
        self, scenes: dict[str, tuple[Tensor, Tensor]], stage: int
    ) -> tuple[dict[str, Tensor], dict[str, list[Tensor]], dict[str, list[Tensor]]]:
        """The loss of every pair (anchor x, modality y), then one step. Returns the losses and, of the RGB modalities,
        real images and outputs."""
        weights, anchor, later = self.config.weights(stage), self.anchor, stage > 0
        terms: dict[str, list[Tensor]] = {}
        reals: dict[str, list[Tensor]] = {n: [] for n, m in self.modalities.items() if m.kind == "rgb"}
        fakes: dict[str, list[Tensor]] = {name: [] for name in reals}

        def produce(latent: Latent, name: str, image: Tensor, kind: str, into_other: bool) -> None:
            raw = self._decode(self._noisy(latent, into_other) if later else latent, name)
            weight = self._weight(name, weights, kind)
            terms.setdefault(f"{kind}_{name}", []).append(weight * self.modalities[name].loss(raw, image))
            if name in fakes:
                fakes[name].append(raw)
                gan = weights.gan * lsgan(self.networks[f"C_{name}"](raw), 1.0)
                terms.setdefault(f"gan_{name}", []).append(gan)

        for name, (x, y) in scenes.items():
            of_x, of_y = self._encode(anchor, x), self._encode(name, y)
            produce(of_x, name, y, "seen", True)
            produce(of_y, anchor, x, "seen", False)
            if weights.autoencoder != "off":
                produce(of_x, anchor, x, "auto", False)
                produce(of_y, name, y, "auto", False)
            if weights.latent:
                terms.setdefault("latent", []).append(weights.latent * self._apart(of_x, of_y))
            for other in self._partners if weights.pseudo else ():
                if other != name:
                    terms.setdefault("pseudo", []).append(weights.pseudo * self._pseudo(of_x, of_y, other))
            terms[f"alignment/{name}"] = [alignment_factor(of_x.code, of_y.code).detach()]
            for domain, image in ((anchor, x), (name, y)):
                if domain in reals:
                    reals[domain].append(image)
        sums = {name: torch.stack(parts).sum() for name, parts in terms.items()}
        self.minimise("G", torch.stack([v for n, v in sums.items() if not n.startswith("alignment")]).sum())
        losses = {name: value.detach() for name, value in sums.items()}
        return losses, reals, {name: [raw.detach() for raw in outputs] for name, outputs in fakes.items()}

    def _weight(self, name: str, weights: Weights, kind: str) -> float:
        modality = self.modalities[name]
        image = modality.kind == "rgb" or (modality.kind == "grey" and modality.grey == "l2")
        if kind == "auto" and weights.autoencoder == "ten" and not image:
            return 10.0
        return weights.l2 if image else weights.labels if modality.kind == "labels" else weights.depth

    def _encode(self, name: str, image: Tensor) -> Latent:
        modality = self.modalities[name]
        raw = modality.read(image)
        if modality.kind == "rgb" and self.config.arch == "vgg" and self.config.rgb_init == "vgg16":
            raw = imagenet(raw)
        return self.networks[f"f_{name}"](raw)

    def _decode(self, latent: Latent, name: str) -> Tensor:
        return self.networks[f"g_{name}"](latent)

    def _noisy(self, latent: Latent, into_other: bool) -> Latent:
        """Normal noise on the bottleneck; loss_preset=code: its absolute value, from the anchor to others alone."""
        std, code = self.config.latent_noise_std, self.config.loss_preset == "code"
        if not std or (code and not into_other):
            return latent
        noise = std * torch.randn(latent.code.shape, generator=self.rng, device=self.device)
        return latent.with_code(latent.code + (noise.abs() if code else noise))

    def _apart(self, a: Latent, b: Latent) -> Tensor:
        """Mean square difference of the latents."""
        if self.config.latent_levels == "bottleneck" or self.config.arch != "vgg":
            return F.mse_loss(a.code.float(), b.code.float())
        pools = [(F.max_pool2d(p, 2), F.max_pool2d(q, 2)) for p, q in zip(a.maps[2:], b.maps[2:])]
        return torch.stack([F.mse_loss(p.float(), q.float()) for p, q in pools]).sum()

    def _pseudo(self, of_x: Latent, of_y: Latent, other: str) -> Tensor:
        """The unseen join against what the anchor's branch says of the same scene; only the join learns."""
        with torch.no_grad():
            teacher = self._decode(of_x, other)
        hard = self.config.pp_labels == "hard"
        return self.modalities[other].imitate(self._decode(self._noisy(of_y, True), other), teacher, hard)

    def _discriminators(
        self, reals: dict[str, list[Tensor]], fakes: dict[str, list[Tensor]], step: int
    ) -> dict[str, Tensor]:
        """(C(x) - 1)^2 + C(fake)^2, no image pool."""
        code = self.config.loss_preset == "code"
        parts = []
        for name, outputs in fakes.items():
            network = self.networks[f"C_{name}"]
            on_real, on_fake = network(torch.cat(reals[name])), network(torch.cat(outputs))
            self.saw_real(network, on_real)
            parts.append(lsgan(on_real, 1.0) + lsgan(on_fake, 0.0))
        total = torch.stack(parts).sum()
        if not code:
            self.minimise("C", total)
        elif step % 2 == 0:
            self.minimise("C", 10 * 0.5 * total)
        return {"C": total.detach()}

    @torch.no_grad()
    def translate(
        self,
        source: Tensor,
        reference: Tensor | None = None,
        rng: torch.Generator | None = None,
        label: Tensor | None = None,
    ) -> Tensor:
        """g_target(f_source(x)); with a companion z: the latent (1 - alpha) f_anchor(z) + alpha f_source(x), and the
        side information of the anchor's encoder."""
        latent = self._encode(self.source, source)
        if self.companion is not None:
            if reference is None:
                raise ValueError("companion=True needs the anchor's image of the same scene as reference")
            other, alpha = self._encode(self.anchor, reference), self.config.alpha
            latent = other.with_code((1 - alpha) * other.code + alpha * latent.code)
        return self.modalities[self.target].write(self._decode(latent, self.target), source.shape[1])

    @torch.no_grad()
    def bottleneck(self, images: Tensor, domain: str) -> Tensor:
        return self._encode(domain, images).code


def _domains(data: TaskData) -> dict[str, Domain]:
    return {data.source_train.name: data.source_train, data.target_train.name: data.target_train, **data.others}


def find_anchor(domains: Mapping[str, Domain], kinds: Mapping[str, str]) -> str:
    """The domain that shares training scenes with every other; RGB first where several do."""
    fits = [
        name
        for name, domain in domains.items()
        if all((domain.matches(other) >= 0).any() for key, other in domains.items() if key != name)
    ]
    if not fits:
        raise Unfit(
            f"none of the domains {', '.join(domains)} is paired with all others in training; mnm-zero-pair needs one, "
            "mnm does not"
        )
    return min(fits, key=lambda name: kinds[name] != "rgb")
