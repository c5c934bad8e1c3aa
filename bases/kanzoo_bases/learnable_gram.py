"""KAGN's functions: SiLU of polynomials whose recurrence is learnt."""

from typing import Annotated, Self

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.signature import checked
from kanzoo_bases.recurrence import DegreeBasis, three_term


class LearnableGram(DegreeBasis):
    r"""SiLU of polynomials with a learnt recurrence, $\mathrm{silu}(p_1(x)), \dots, \mathrm{silu}(p_D(x))$ on $[-1, 1]$.

    $p_0 = 1$, $p_1 = x$ and $p_{n+1} = x\,p_n - \beta_n\,p_{n-1}$ with $\beta_n = \frac{(2n + 1)\,n^2\,(4n^2 - 1)}{(n + 1)^2}\,w_n$, the
    factor as published; the weights $w_n$, `recurrence`, are shared by the inputs of a layer and begin at zero, where $p_n = x^n$. With
    $\beta_n = n^2 / (4n^2 - 1)$ the polynomials are Legendre's, with $\frac{n^2 (m^2 - n^2)}{m^2 (4n^2 - 1)}$ Gram's on m points, all
    with leading coefficient one. $\mathrm{silu}(p_0)$, a constant, is left to the layer's bias.

    Args:
        in_features: number of inputs.
        degree: highest degree D; K = D.
        smooth: damp the initial coefficients of degree n by $1 / n^2$; without it a network starts as noise.

    Reference:
        Drokin, Kolmogorov-Arnold convolutions: design principles and empirical studies, arXiv:2407.01092;
        https://github.com/Khochawongwat/GRAMKAN.

    Example:
        >>> basis = LearnableGram(1, degree=2)
        >>> basis(torch.tensor([0.5])).detach()
        tensor([[0.3112, 0.1405]])
        >>> basis.figures()
        {'beta_1': 0.0}
    """

    resolution = "degree"
    support = "global"
    reference = "arXiv:2407.01092"
    family = "polynomial"
    formula = "silu(p_n(x)), n = 1 ... degree, p_n+1 = x p_n - beta_n p_n-1 with trainable beta"

    @checked
    def __init__(self, in_features: int, *, degree: Annotated[int, Ge(1)] = 3, smooth: bool = True) -> None:
        super().__init__(in_features, degree=degree, smooth=smooth)
        self.recurrence = nn.Parameter(torch.zeros(degree - 1))

    def beta(self) -> Tensor:
        r"""Return $\beta_1, \dots, \beta_{D-1}$."""
        n = torch.arange(1, self.degree, dtype=self.recurrence.dtype, device=self.recurrence.device)
        return (2 * n + 1) * n**2 * (4 * n**2 - 1) / (n + 1) ** 2 * self.recurrence

    def columns(self, x: Tensor) -> list[Tensor]:
        """Return the D functions, each of the shape of `x`."""
        steps = [(x, 1.0, beta) for beta in self.beta().to(x.dtype).unbind()]
        return [F.silu(polynomial) for polynomial in three_term(torch.ones_like(x), x, steps)]

    @torch.no_grad()
    def refined(self, resolution: int) -> Self:
        """Return the family up to a higher degree, with the recurrence that was learnt."""
        new = self.remade(degree=resolution).to(self.recurrence)
        new.recurrence[: self.degree - 1] = self.recurrence
        return new

    def figures(self) -> dict[str, float]:
        r"""Return $\beta_1, \dots, \beta_{D-1}$ by name."""
        return {f"beta_{n}": value for n, value in enumerate(self.beta().tolist(), 1)}
