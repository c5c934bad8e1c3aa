"""KAT's group-rational functions: one learnt rational activation for each group of inputs."""

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from kanzoo.basis import Basis
from kanzoo.signature import checked

#: Groups where no number is asked for, and there are so many inputs.
GROUPS = 8


class Rational(Basis):
    r"""One function, the safe Padé quotient $R_g(x) = \frac{a_0 + a_1 x + \dots + a_5 x^5}{1 + |b_{g1} x + \dots + b_{g4} x^4|}$, K = 1.

    The numerator `numerator`, `(6,)`, is shared by all inputs, the denominator `denominator`, `(groups, 4)`, by the inputs of a group:
    neighbours, about as many in each. The layer learns one weight an edge. The denominator is never below 1. At $Q = 0$ the derivative of
    $|Q|$ is taken to be that from above, so that denominators learn from their start at zero.

    Args:
        in_features: number of inputs.
        groups: number of groups; 8, or one for each input where there are fewer, when None. A group without inputs is idle.
        start: what the function is at first: `swish` $x / (1 + e^{-x})$ or `gelu`, fitted on [-3, 3] to 10⁻⁵ and 10⁻³, or
            `identity`.
        domain: interval that inputs are squashed into.

    Reference:
        Yang & Wang, Kolmogorov-Arnold transformer, arXiv:2409.10594; Molina, Schramowski & Kersting, Padé activation units,
        arXiv:1907.06732.

    Example:
        >>> Rational(2, start="identity")(torch.tensor([0.5, -2.0]))[:, 0].tolist()
        [0.5, -2.0]
    """

    resolution = None
    support = "global"
    reference = "arXiv:2409.10594"
    family = "rational"
    formula = "(a_0 + ... + a_5 x^5) / (1 + |b_1 x + ... + b_4 x^4|), learnt for each group of inputs"
    group: Tensor

    @checked
    def __init__(
        self,
        in_features: int,
        *,
        groups: Annotated[int | None, Ge(1)] = None,
        start: Literal["swish", "gelu", "identity"] = "swish",
        domain: tuple[float, float] = (-3.0, 3.0),
    ) -> None:
        super().__init__(in_features, num_basis=1, domain=domain)
        groups = min(GROUPS, in_features) if groups is None else groups
        numerator, denominator = (part.to(torch.get_default_dtype()) for part in _start(start))
        self.numerator = nn.Parameter(numerator)
        self.denominator = nn.Parameter(denominator.repeat(groups, 1))
        self.register_buffer("group", torch.arange(in_features) * groups // in_features)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the function: `(*batch, in_features)` to `(*batch, in_features, 1)`."""
        numerator, denominator = self.numerator.to(x.dtype), self.denominator.to(x.dtype)[self.group]
        inner = x * _horner(denominator.unbind(-1), x)
        return (_horner(numerator.unbind(), x) / (1 + torch.where(inner < 0, -inner, inner))).unsqueeze(-1)

    def constructed_with(self) -> dict[str, Any]:
        """The constructor's arguments by name, with the number of groups that there are, which stays when inputs are cut."""
        return super().constructed_with() | {"groups": len(self.denominator)}


def _horner(coefficients: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """Return c_0 + c_1 x + c_2 x² + ..."""
    value = coefficients[-1].expand_as(x)
    for coefficient in reversed(coefficients[:-1]):
        value = torch.addcmul(coefficient, value, x)
    return value


def _start(kind: Literal["swish", "gelu", "identity"]) -> tuple[Tensor, Tensor]:
    """Return a_0 ... a_5 and b_1 ... b_4 in float64.

    Of swish and GELU f the odd part is x / 2, which a quotient with an even Q holds exactly. Their even part e, a function of u = x², is
    fitted by (a_2 u + a_4 u²) / (1 + b_2 u + b_4 u²): linear least squares of a_2 u + a_4 u² - e (b_2 u + b_4 u²) against e.
    """
    if kind == "identity":
        return torch.tensor([0, 1, 0, 0, 0, 0], dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    x = torch.linspace(0, 3, 301, dtype=torch.float64, device="cpu")
    even = (F.silu(x) if kind == "swish" else F.gelu(x)) - x / 2
    columns = torch.stack([x**2, x**4, -even * x**2, -even * x**4], -1)
    a2, a4, b2, b4 = torch.linalg.lstsq(columns, even.unsqueeze(-1)).solution[:, 0].tolist()
    numerator = torch.tensor([0, 1 / 2, a2, b2 / 2, a4, b4 / 2], dtype=torch.float64)
    return numerator, torch.tensor([0, b2, 0, b4], dtype=torch.float64)
