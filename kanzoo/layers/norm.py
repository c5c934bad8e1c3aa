"""Normalisation of what a layer sees, or gives."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["none", "layer", "batch"]
NormAt = Literal["between", "before", "after"]


class LayerNorm(nn.LayerNorm):
    """Normalise over the features; a sparse matrix is made dense."""

    def forward(self, input: Tensor) -> Tensor:
        """Map `(*batch, features)` to the same shape."""
        return super().forward(_dense(input))


class BatchNorm(nn.BatchNorm1d):
    """Normalise over the batch; with the running statistics when a training batch has one row, whose variance is zero."""

    def forward(self, input: Tensor) -> Tensor:
        """Map `(*batch, features)` to the same shape; a sparse matrix is made dense."""
        x = _dense(input)
        rows = x.reshape(-1, self.num_features)
        if self.training and len(rows) < 2:
            rows = F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        else:
            rows = super().forward(rows)
        return rows.view_as(x)


def check_norm(norm: Norm, norm_at: NormAt) -> None:
    """Raise ValueError when a kind or a place is unknown."""
    for name, value, allowed in (("norm", norm, get_args(Norm)), ("norm_at", norm_at, get_args(NormAt))):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def normalised(layer: nn.Module, norm: Norm, norm_at: NormAt, sizes: tuple[int, int], *, dimensions: int = 0, first: bool) -> nn.Module:
    """Return a layer with a normalisation at its place.

    Args:
        layer: what maps features, or channels of an image.
        norm: `layer` over the features (over channels and places of an image), `batch` over the batch (and places), or `none`.
        norm_at: `before` the layer, `between` layers, which is before each but the first, or `after` it.
        sizes: of what the layer sees and gives.
        dimensions: of space, of a convolution: 2 for images.
        first: whether the layer sees the raw data.
    """
    if norm == "none" or (norm_at == "between" and first):
        return layer
    size = sizes[norm_at == "after"]
    if norm == "batch":
        made: nn.Module = (BatchNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dimensions](size)
    else:
        made = nn.GroupNorm(1, size) if dimensions else LayerNorm(size)
    return nn.Sequential(layer, made) if norm_at == "after" else nn.Sequential(made, layer)


def _dense(x: Tensor) -> Tensor:
    return x if x.layout is torch.strided else x.to_dense()
