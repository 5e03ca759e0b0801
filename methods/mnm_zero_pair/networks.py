"""M&MNets between modalities: which network of mnm_networks a modality has, initialised."""

from torch import Tensor, nn

from bench.methods.mnm_zero_pair.config import ZeroPairConfig
from bench.methods.nn.mnm_networks import (
    RgbDecoder,
    RgbDiscriminator,
    ThesisDecoder,
    ThesisDiscriminator,
    ThesisEncoder,
    VggDecoder,
    VggEncoder,
    init,
)
from bench.methods.nn.modalities import Modality


def encoder_and_decoder(modality: Modality, config: ZeroPairConfig) -> tuple[nn.Module, nn.Module]:
    encoder: nn.Module
    decoder: nn.Module
    if config.arch == "thesis":
        tanh = modality.kind not in ("labels", "depth")
        encoder = ThesisEncoder(modality.width, config.width, config.blocks)
        decoder = ThesisDecoder(modality.width, config.width, config.side, config.blocks, tanh=tanh)
    elif modality.kind == "rgb":
        encoder = VggEncoder(modality.width, config.width, norm=False)
        decoder = RgbDecoder(config.width, modality.width)
    else:
        norm_head = modality.kind == "labels" and config.seg_head == "bn_relu"
        encoder = VggEncoder(modality.width, config.width, norm=True)
        decoder = VggDecoder(modality.width, config.width, config.side, norm_head)
    for network in (encoder, decoder):
        init(network, config.init_std, truncated=config.arch == "vgg")
    return encoder, decoder


def discriminator(modality: Modality, config: ZeroPairConfig) -> nn.Module:
    network: nn.Module
    if config.arch == "thesis":
        network = ThesisDiscriminator(modality.width, config.width)
    else:
        network = RgbDiscriminator(config.width, config.d_last_stride, config.d_head == "conv1", modality.width)
    init(network, config.init_std, truncated=config.arch == "vgg")
    return network


def imagenet(image: Tensor) -> Tensor:
    """RGB in [-1, 1] -> as VGG-16 was trained: ImageNet's mean 0 and deviation 1 a channel."""
    mean = image.new_tensor([0.485, 0.456, 0.406])[:, None, None]
    std = image.new_tensor([0.229, 0.224, 0.225])[:, None, None]
    return ((image + 1) / 2 - mean) / std
