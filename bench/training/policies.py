"""What is done to images in front of a discriminator, as functions of given draws.

DiffAugment: Zhao et al., NeurIPS 2020, arXiv 2006.10738, code mit-han-lab/data-efficient-gans. ADA's transforms: Karras
et al., NeurIPS 2020, arXiv 2006.06676, appendix B. Images are (N, C, H, W) in [-1, 1], draws (N,), one an image;
nothing is clipped. All of it can be differentiated twice in the images, which gradient penalties need: pixels are moved
by indexing, not by torch's grid_sample.
"""

import math

import torch
from torch import Tensor

# --- DiffAugment ------------------------------------------------------------------------------------------------------


def brightness(x: Tensor, u: Tensor) -> Tensor:
    """x + u - 1/2, u in [0, 1]."""
    return x + _wide(u - 0.5)


def saturation(x: Tensor, u: Tensor) -> Tensor:
    """Each pixel's distance from the mean of its channels, times 2u, u in [0, 1]."""
    grey = x.mean(1, keepdim=True)
    return (x - grey) * _wide(2 * u) + grey


def contrast(x: Tensor, u: Tensor) -> Tensor:
    """The distance from the image's mean, times u + 1/2, u in [0, 1]."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * _wide(u + 0.5) + mean


def translate(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """out(r, c) = x(r + rows, c + columns), 0 outside; whole pixels, int64."""
    r, inside_r = _shifted(x.shape[2], rows)
    c, inside_c = _shifted(x.shape[3], columns)
    return _pick(x, r[:, :, None], c[:, None, :]) * (inside_r[:, :, None] & inside_c[:, None, :])[:, None]


def cut_out(x: Tensor, rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """0 in a hole of height x width around the pixel (rows, columns), int64; it shrinks at the border."""
    hole_r = _covered(x.shape[2], rows, height)
    hole_c = _covered(x.shape[3], columns, width)
    return x * ~(hole_r[:, :, None] & hole_c[:, None, :])[:, None]


def _shifted(side: int, by: Tensor) -> tuple[Tensor, Tensor]:
    """Places (N, side) that are read, and whether they lie inside."""
    place = torch.arange(side, device=by.device) + by[:, None]
    return place.clamp(0, side - 1), (place >= 0) & (place < side)


def _covered(side: int, centre: Tensor, length: int) -> Tensor:
    distance = torch.arange(side, device=centre.device) - (centre - length // 2)[:, None]
    return (distance >= 0) & (distance < length)


# --- ADA: whole pixels ------------------------------------------------------------------------------------------------


def mirror(x: Tensor, fires: Tensor) -> Tensor:
    """Left and right swapped where `fires` (bool)."""
    return torch.where(_wide(fires), x.flip(3), x)


def turn(x: Tensor, quarters: Tensor) -> Tensor:
    """Turned by 0 to 3 quarters (int64); square images."""
    turned = torch.stack([torch.rot90(x, k, (2, 3)) for k in range(4)])
    return turned[quarters, torch.arange(len(x), device=x.device)]


def shift(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Moves images like `translate`, but the image is reflected outside; by less than a side."""
    r, c = (
        _reflected(torch.arange(side, device=x.device) + by[:, None], side)
        for side, by in zip(x.shape[2:], (rows, columns))
    )
    return _pick(x, r[:, :, None], c[:, None, :])


# --- ADA: geometry between pixels -------------------------------------------------------------------------------------


def affine(x: Tensor, inverse: Tensor) -> Tensor:
    """out(p) = x(inverse p), bilinear, reflected outside; inverse (N, 3, 3) in pixels from the image's centre.

    ADA's code filters with wavelets besides; this is the simple version.
    """
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device) - (height - 1) / 2
    columns = torch.arange(width, device=x.device) - (width - 1) / 2
    places = torch.stack(
        [columns.expand(height, width), rows[:, None].expand(height, width), rows.new_ones(height, width)]
    )
    moved = (inverse[:, :2, :, None, None] * places).sum(2)  # (N, 2, H, W): column and row
    column, row = moved[:, 0] + (width - 1) / 2, moved[:, 1] + (height - 1) / 2
    left, top = column.floor(), row.floor()
    right_share, lower_share = (column - left)[:, None], (row - top)[:, None]

    def at(down: int, right: int) -> Tensor:
        return _pick(x, _reflected(top.long() + down, height), _reflected(left.long() + right, width))

    upper = at(0, 0) * (1 - right_share) + at(0, 1) * right_share
    lower = at(1, 0) * (1 - right_share) + at(1, 1) * right_share
    return upper * (1 - lower_share) + lower * lower_share


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """(N, 3, 3): columns times x, rows times y, both (N,)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def rotation(angle: Tensor) -> Tensor:
    """(N, 3, 3), angles in radians."""
    sine, cosine, zero = angle.sin(), angle.cos(), torch.zeros_like(angle)
    rows = [cosine, -sine, zero, sine, cosine, zero, zero, zero, zero + 1]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def shifting(x: Tensor, y: Tensor) -> Tensor:
    """(N, 3, 3): columns plus x, rows plus y, in pixels."""
    matrix = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
    matrix[:, 0, 2], matrix[:, 1, 2] = x, y
    return matrix


# --- ADA: colour ------------------------------------------------------------------------------------------------------


def recolour(x: Tensor, matrix: Tensor) -> Tensor:
    """Each pixel (R, G, B, 1) times matrix (N, 4, 4); of grey images by the mean of its rows, as in ADA's code."""
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3]
    if x.shape[1] == 1:
        return x * linear.sum(2).mean(1)[:, None, None, None] + offset.mean(1)[:, None, None, None]
    return (linear[..., None, None] * x[:, None]).sum(2) + offset[..., None, None]


def colour_scaling(factor: Tensor) -> Tensor:
    """(N, 4, 4): contrast, about 0."""
    return torch.diag_embed(torch.stack([factor, factor, factor, torch.ones_like(factor)], dim=1))


def colour_shifting(by: Tensor) -> Tensor:
    """(N, 4, 4): brightness."""
    matrix = torch.eye(4, device=by.device).repeat(len(by), 1, 1)
    matrix[:, :3, 3] = by[:, None]
    return matrix


def luma_flip(fires: Tensor) -> Tensor:
    """(N, 4, 4): the grey part of a colour changes its sign where `fires`; the rest stays."""
    return torch.eye(4, device=fires.device) - 2 * fires.float()[:, None, None] * _grey_part(fires.device)


def hue_turn(angle: Tensor) -> Tensor:
    """(N, 4, 4): colours turned about the grey axis, by radians (Rodrigues' formula)."""
    axis = 1 / math.sqrt(3)
    cross = torch.zeros(4, 4, device=angle.device)
    cross[0, 1], cross[0, 2], cross[1, 2] = -axis, axis, -axis
    cross = cross - cross.T
    grey, sine, cosine = _grey_part(angle.device), angle.sin()[:, None, None], angle.cos()[:, None, None]
    turned = cosine * (_rgb_part(angle.device) - grey) + grey + sine * cross
    return turned + torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0], device=angle.device))


def colour_saturation(factor: Tensor) -> Tensor:
    """(N, 4, 4): distance from the grey axis, times a factor."""
    grey = _grey_part(factor.device)
    keep = grey + torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0], device=factor.device))
    return keep + factor[:, None, None] * (_rgb_part(factor.device) - grey)


def _grey_part(device: torch.device) -> Tensor:
    part = torch.zeros(4, 4, device=device)
    part[:3, :3] = 1 / 3
    return part


def _rgb_part(device: torch.device) -> Tensor:
    return torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0], device=device))


# --- pixels -----------------------------------------------------------------------------------------------------------


def _wide(draw: Tensor) -> Tensor:
    return draw[:, None, None, None]


def _reflected(place: Tensor, side: int) -> Tensor:
    """Any whole number -> 0 ... side - 1, as if the image were mirrored at its border pixels again and again."""
    if side == 1:
        return torch.zeros_like(place)
    folded = place.remainder(2 * side - 2)
    return torch.minimum(folded, 2 * side - 2 - folded)


def _pick(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x at the places rows, columns (N, H, W) or what broadcasts to that."""
    images = torch.arange(len(x), device=x.device)[:, None, None]
    return x[images, :, rows, columns].permute(0, 3, 1, 2)
