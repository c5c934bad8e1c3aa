"""Factories of further baselines: what is it of a KAN that helps? Functions on nodes, sines, Fourier features, powers, each alone."""

from collections.abc import Callable
from typing import Any

from torch import Generator, nn

from kanzoo.basis import BasisFactory
from kanzoo.errors import InvalidInput
from kanzoo.layers.activation import NodeActivation, Sine, check_node_basis
from kanzoo.layers.convolution import Size
from kanzoo.layers.extrapolation import Extrapolate
from kanzoo.layers.factory import PLAIN_CONVOLUTIONS, ConvName, PlainLayers
from kanzoo.layers.fourier_features import FourierFeatures, check_fourier_features
from kanzoo.layers.norm import Norm, NormAt
from kanzoo.layers.power import PowerLayer, check_power
from kanzoo.layers.squash import Squash


class NodeLayers(PlainLayers):
    """Makes the baseline with a learnt activation on each node, a `NodeActivation`, instead of SiLU.

    It begins as the baseline of the same generator, to the bit: the activations begin as SiLU and draw no numbers. As there, a first
    layer has no activation before it.

    Args:
        basis: of the activations: a `Basis` class, or a partial of one.
        squash: as in `NodeActivation`.
        extrapolate: as in `NodeActivation`.
        norm: as in `PlainLayers`.
        norm_at: as in `PlainLayers`.
        width: factor on hidden widths.
        generator: source of the initial weights of all layers.

    Raises:
        ValueError: the basis is an `EdgeBasis`, or `norm` or `norm_at` is not allowed.

    Reference:
        Yu et al., KAN or MLP: a fairer comparison, arXiv:2407.16674.

    Example:
        >>> from kanzoo.models import DenseNet
        >>> from kanzoo_bases.bspline import BSpline
        >>> net = DenseNet(NodeLayers(BSpline), [2, 5, 1])
        >>> [type(part).__name__ for part in (net[0], *net[1])]
        ['Linear', 'NodeActivation', 'Linear']
    """

    def __init__(
        self,
        basis: BasisFactory,
        *,
        squash: Squash = "tanh",
        extrapolate: Extrapolate = "linear",
        norm: Norm = "none",
        norm_at: NormAt = "between",
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(norm=norm, norm_at=norm_at, width=width, generator=generator)
        check_node_basis(basis)
        self.basis, self.squash, self.extrapolate = basis, squash, extrapolate

    def _activation(self, size: int, dimensions: int) -> nn.Module:
        return NodeActivation(size, self.basis, dimensions=dimensions, squash=self.squash, extrapolate=self.extrapolate)


class SineLayers(PlainLayers):
    r"""Makes a SIREN: the baseline with $\sin(\omega x)$ between layers, and with the initial weights that sines want.

    With n inputs of a layer, weights begin uniform in $\pm 1/n$ in a first layer and in $\pm\sqrt{6/n}/\omega$ in the others, so that what
    the weights bring to the sines, $\omega Wx$, has about unit variance in every layer behind the first; biases begin as those of
    `nn.Linear`. A normalisation between layers brings $Wx + b$ itself to unit variance: behind one, $\omega = 1$ gives the sines the same.

    Args:
        omega: the frequency $\omega$, 30 as published.
        norm: as in `PlainLayers`.
        norm_at: as in `PlainLayers`.
        width: factor on hidden widths.
        generator: source of the initial weights of all layers.

    Raises:
        ValueError: `omega` is not above 0, or `norm` or `norm_at` is not allowed.

    Reference:
        Sitzmann et al., Implicit neural representations with periodic activation functions, arXiv:2006.09661.

    Example:
        >>> from kanzoo.models import DenseNet
        >>> DenseNet(SineLayers(), [2, 5, 1])[1][0]
        Sine(30)
    """

    def __init__(
        self,
        *,
        omega: float = 30.0,
        norm: Norm = "none",
        norm_at: NormAt = "between",
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(norm=norm, norm_at=norm_at, width=width, generator=generator)
        if not omega > 0:
            raise ValueError(f"omega must be > 0, got {omega}")
        self.omega = omega

    def _activation(self, size: int, dimensions: int) -> nn.Module:
        return Sine(self.omega)

    def _bound(self, fan_in: int, first: bool) -> float:
        return 1 / fan_in if first else (6 / fan_in) ** 0.5 / self.omega


class FourierFeatureLayers(PlainLayers):
    """Makes the baseline behind random Fourier features: a first dense layer sees `FourierFeatures` of the raw data.

    Args:
        features: number of cosines and sines together, an even number.
        sigma: standard deviation of the frequencies, see `FourierFeatures`.
        activation: as in `PlainLayers`.
        norm: as in `PlainLayers`; of a first layer, under `before`, it stands before the features.
        norm_at: as in `PlainLayers`.
        width: factor on hidden widths; the number of features is not scaled.
        generator: source of the frequencies and of the initial weights of all layers.

    Raises:
        ValueError: `features`, `sigma`, `norm` or `norm_at` is not allowed.

    Reference:
        Tancik et al., Fourier features let networks learn high frequency functions in low dimensional domains, arXiv:2006.10739.

    Example:
        >>> from kanzoo.models import DenseNet
        >>> DenseNet(FourierFeatureLayers(features=64), [2, 5, 1])[0]
        Sequential(
          (0): FourierFeatures(2, 64, sigma=1)
          (1): Linear(in_features=64, out_features=5, bias=True)
        )
    """

    def __init__(
        self,
        *,
        features: int = 128,
        sigma: float = 1.0,
        activation: Callable[[], nn.Module] = nn.SiLU,
        norm: Norm = "none",
        norm_at: NormAt = "between",
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(activation=activation, norm=norm, norm_at=norm_at, width=width, generator=generator)
        check_fourier_features(features, sigma)
        self.features, self.sigma = features, sigma

    def _linear(self, in_features: int, out_features: int, *, first: bool, last: bool) -> nn.Module:
        if not first:
            return super()._linear(in_features, out_features, first=False, last=last)
        waves = FourierFeatures(in_features, self.features, sigma=self.sigma, generator=self.generator)
        return nn.Sequential(waves, super()._linear(self.features, out_features, first=True, last=last))

    def _convolution(
        self, name: ConvName, in_channels: int, out_channels: int, kernel_size: Size, *, first: bool, **options: Any
    ) -> nn.Module:
        if first:
            raise InvalidInput(f"Fourier features must be followed by a dense layer, got a network that begins with {name}")
        return super()._convolution(name, in_channels, out_channels, kernel_size, first=False, **options)


class PowerLayers(PlainLayers):
    r"""Makes a PowerMLP: each layer gives $\mathrm{relu}(Wx + b)^k + V\,\mathrm{silu}(x)$, the last one an ordinary $Wx + b$.

    W and V begin as Glorot has it, uniform in $\pm\sqrt{6/(n + m)}$ with n inputs and m outputs, times the points of a kernel; b begins at
    zero. The last layer begins as `nn.Linear`. What is published is dense; convolutions are layers of the same form.

    Args:
        power: k, 3 as published.
        norm: as in `PlainLayers`.
        norm_at: as in `PlainLayers`.
        width: factor on hidden widths.
        generator: source of the initial weights of all layers.

    Raises:
        ValueError: `power` is below 1, or `norm` or `norm_at` is not allowed.

    Reference:
        Qiu et al., PowerMLP: an efficient version of KAN, arXiv:2412.13571.

    Example:
        >>> from kanzoo.models import DenseNet
        >>> [type(part).__name__ for part in DenseNet(PowerLayers(), [2, 5, 5, 1])]
        ['PowerLayer', 'PowerLayer', 'Linear']
    """

    def __init__(
        self,
        *,
        power: int = 3,
        norm: Norm = "none",
        norm_at: NormAt = "between",
        width: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(norm=norm, norm_at=norm_at, width=width, generator=generator)
        check_power(power)
        self.power = power

    def _linear(self, in_features: int, out_features: int, *, first: bool, last: bool) -> nn.Module:
        if last:
            return super()._linear(in_features, out_features, first=True, last=True)  # a first layer has no activation before it
        return self._powers(nn.Linear, in_features, out_features)

    def _convolution(
        self, name: ConvName, in_channels: int, out_channels: int, kernel_size: Size, *, first: bool, **options: Any
    ) -> nn.Module:
        return self._powers(PLAIN_CONVOLUTIONS[name], in_channels, out_channels, kernel_size, **options)

    def _powers(self, make: Callable[..., nn.Module], *sizes: Any, **options: Any) -> PowerLayer:
        mixing, residual = (make(*sizes, **options, bias=bias, device="meta").to_empty(device="cpu") for bias in (True, False))
        layer = PowerLayer(mixing, residual, power=self.power)
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter, generator=self.generator)
            else:
                nn.init.zeros_(parameter)
        return layer
