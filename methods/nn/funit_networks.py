"""The generator that MUNIT, FUNIT and BalaGAN share (content code + AdaIN parameters from a style code -> image), and
the class-conditional discriminator of the latter two."""

from itertools import pairwise

from torch import Tensor, nn

from bench.methods.nn import losses
from bench.methods.nn.layers import (
    SLOPE,
    ActivationFirstBlock,
    AdaINResidualBlock,
    ConvBlock,
    Norm,
    ResidualBlock,
    Shortcut,
    kaiming_init,
)

MAX_WIDTH = 1024  # of the discriminator


class ContentEncoder(nn.Sequential):
    """(N, C, S, S) -> content code (N, width * 2^downs, S / 2^downs, S / 2^downs)."""

    def __init__(self, channels: int, width: int, downs: int, blocks: int) -> None:
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3, norm="instance")]
        for _ in range(downs):
            layers.append(ConvBlock(width, 2 * width, 4, stride=2, padding=1, norm="instance"))
            width *= 2
        super().__init__(*layers, *(ResidualBlock(width) for _ in range(blocks)))


class StyleEncoder(nn.Sequential):
    """(N, C, S, S) -> style code (N, latent): FUNIT's class encoder, BalaGAN's reference encoder. No norms; the width
    doubles twice at most."""

    def __init__(self, channels: int, width: int, downs: int, latent: int) -> None:
        widths = [width, *(width * min(2**i, 4) for i in range(1, downs + 1))]
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3)]
        layers += [ConvBlock(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], latent, 1), nn.Flatten())


def enlarging(channels: int, width: int, downs: int, norm: Norm) -> nn.Sequential:
    """(N, width * 2^downs, s, s) -> image in [-1, 1] of side s * 2^downs. `norm` follows each conv that doubles."""
    inner = width * 2**downs
    layers: list[nn.Module] = []
    for _ in range(downs):
        # the first holds nothing: checkpoints count an upsampling as a layer of its own
        layers += [nn.Identity(), ConvBlock(inner, inner // 2, 5, padding=2, norm=norm, upsample=True)]
        inner //= 2
    return nn.Sequential(*layers, ConvBlock(inner, channels, 7, padding=3, activation="tanh"))


class Decoder(nn.Module):
    """Content code and AdaIN parameters (N, n_style), in the order of the blocks -> image in [-1, 1].

    up_norm  of the convs that follow each doubling: layer norm (MUNIT) keeps mean and deviation of the features,
             which carry style; instance norm (FUNIT) removes them
    """

    def __init__(self, channels: int, width: int, downs: int, blocks: int, up_norm: Norm) -> None:
        super().__init__()
        inner = width * 2**downs
        self.blocks = nn.ModuleList(AdaINResidualBlock(inner) for _ in range(blocks))
        self.n_style = 4 * inner * blocks
        self.up = enlarging(channels, width, downs, up_norm)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        for block, part in zip(self.blocks, style.chunk(len(self.blocks), dim=1)):
            content = block(content, part)
        return self.up(content)


class Generator(nn.Module):
    """Both encoders, the MLP that makes AdaIN parameters of a style code, and the decoder."""

    def __init__(
        self,
        channels: int,
        width: int,
        downs: int,
        style_downs: int,
        blocks: int,
        latent: int,
        mlp_width: int,
        up_norm: Norm = "instance",
    ) -> None:
        super().__init__()
        self.content_encoder = ContentEncoder(channels, width, downs, blocks)
        self.style_encoder = StyleEncoder(channels, width, style_downs, latent)
        self.decoder = Decoder(channels, width, downs, blocks, up_norm)
        self.mlp = nn.Sequential(
            nn.Linear(latent, mlp_width),
            nn.ReLU(),
            nn.Linear(mlp_width, mlp_width),
            nn.ReLU(),
            nn.Linear(mlp_width, self.decoder.n_style),
        )
        kaiming_init(self)

    def forward(self, content_image: Tensor, style_image: Tensor) -> Tensor:
        return self.decode(self.content_encoder(content_image), self.style_encoder(style_image))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Its content code and its style code."""
        return self.content_encoder(image), self.style_encoder(image)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        return self.decoder(content, self.mlp(style))


class Discriminator(nn.Module):
    """A trunk, one map of scores a class, and one logit a class where `classifier` (BalaGAN's D_cls).

    The trunk has downs + 1 pairs of residual blocks; the second of each pair doubles the width, up to 1024, and all
    pairs but the last are followed by pooling.

    shortcut  "preact" is FUNIT's code with its in-place activations: see ActivationFirstBlock; the features are then
              those behind the heads' activation, too
    """

    def __init__(
        self,
        channels: int,
        width: int,
        downs: int,
        classes: int,
        shortcut: Shortcut = "identity",
        classifier: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvBlock(channels, width, 7, padding=3, activation="none")]
        for stage in range(downs + 1):
            wider = min(2 * width, MAX_WIDTH)
            layers += [ActivationFirstBlock(a, b, shortcut) for a, b in ((width, width), (width, wider))]
            if stage < downs:
                layers += [nn.ReflectionPad2d(1), nn.AvgPool2d(3, stride=2)]
            width = wider
        first: list[nn.Module] = [nn.LeakyReLU(SLOPE)]
        if shortcut == "preact":
            layers, first = layers + first, []
        self.features = nn.Sequential(*layers)
        self.adversarial = nn.Sequential(*first, nn.Conv2d(width, classes, 1))
        self.classifier = nn.Sequential(*first, nn.Conv2d(width, classes, 1)) if classifier else None
        kaiming_init(self)

    def scores(self, features: Tensor, label: Tensor) -> Tensor:
        """D(x) under each image's own class: (N, H, W)."""
        return losses.of_class(self.adversarial(features), label)

    def logits(self, features: Tensor) -> Tensor:
        """D_cls(x): (N, classes)."""
        assert self.classifier is not None
        return self.classifier(features).mean((2, 3))
