"""Registers every metric, in the order in which they are listed. A family is one file: formulas, then metrics."""

from importlib import import_module

FAMILIES = (
    "translated",
    "kernel",
    "frechet",
    "gaussian_kernel",
    "precision_recall",
    "density_coverage",
    "neighbours",
    "memorisation",
    "classifier",
    "resnet_accuracy",
    "perceptual",
    "faces",
    "pixels",
    "segmentation",
    "depth",
    "backward",
    "alignment",
    "modes",
    "people",
)

for family in FAMILIES:
    import_module(f"bench.metrics.{family}")
