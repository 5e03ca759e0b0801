"""Batch norm for networks that are trained on batches and translate one image at a time."""

from collections.abc import Callable

from torch import Tensor, nn

from bench.methods.nn.kernels import InstanceNorm2d, instance_norm

MakeNorm = Callable[[int], nn.Module]  # channels -> the norm that follows a conv with that many outputs


class PerImageBatchNorm2d(nn.BatchNorm2d):
    """Batch norm without running statistics; in evaluation every image is normalised by its own mean and variance.

    This is what batch norm in training mode does with a batch of one image, which is how pix2pix is tested. The output
    for an image therefore does not depend on the other images of the batch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return super().forward(x) if self.training else instance_norm(x, self.weight, self.bias)


def norm_factory(kind: str, running_statistics: bool) -> MakeNorm:
    """The norm of a network.

    kind                "batch" (with scale and shift) or "instance" (without)
    running_statistics  of batch norm: evaluation uses averages of training; otherwise the statistics of each image
    """
    if kind == "instance":
        return InstanceNorm2d
    return nn.BatchNorm2d if running_statistics else PerImageBatchNorm2d
