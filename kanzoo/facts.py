"""What is measured of a basis: its functions, parameters and operations, each for one edge of a layer."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator

from kanzoo.basis import Basis, BasisFactory, EdgeBasis
from kanzoo.layers import KANLinear
from kanzoo.models import num_parameters
from kanzoo.operations import operations

#: Inputs, outputs and samples of the layer that is measured.
_WIDTH, _SAMPLES = 64, 128


@dataclass(frozen=True)
class Facts:
    """Facts of a basis in a dense layer of 64 inputs and outputs, without residual branch and bias.

    Attributes:
        num_basis: functions an edge; 1 for an `EdgeBasis`.
        order: algebraic order of approximation; None when spectral or unknown.
        support: `local`, `global`, or empty for an `EdgeBasis`.
        domain: the closed interval on which it is meant to be used.
        parameters: trainable numbers an edge; what inputs or a layer share counts by its share.
        operations: arithmetic operations an edge and sample, the basis by its share; a plain linear layer takes 2.
    """

    num_basis: int
    order: int | None
    support: str
    domain: tuple[float, float]
    parameters: float
    operations: float


def measure(basis: BasisFactory) -> Facts:
    """Return the facts of a basis, a class or a partial of one.

    Example:
        >>> from kanzoo_bases.chebyshev import Chebyshev
        >>> facts = measure(Chebyshev)
        >>> facts.num_basis, facts.parameters, facts.support
        (8, 8.0, 'global')
    """
    layer = KANLinear(_WIDTH, _WIDTH, basis, squash="none", residual="none", bias=False, generator=Generator().manual_seed(0))
    edges = _WIDTH * _WIDTH
    family = layer.edge if layer.expansion is None else layer.expansion.basis
    assert isinstance(family, Basis | EdgeBasis)
    low, high = family.domain
    x = low + (high - low) * torch.rand(_SAMPLES, _WIDTH, generator=Generator().manual_seed(1))
    return Facts(
        num_basis=family.num_basis if isinstance(family, Basis) else 1,
        order=family.order if isinstance(family, Basis) else None,
        support=cast(str, family.support) if isinstance(family, Basis) else "",
        domain=family.domain,
        parameters=sum(num_parameters(layer).values()) / edges,
        operations=operations(layer, x) / (_SAMPLES * edges),
    )
