"""What training made of the numbers inside bases: the weights of a mixture, for example."""

from torch import nn

from kanzoo.layers.expansion import Expansion


def basis_figures(model: nn.Module) -> dict[str, dict[str, float]]:
    """Return the `figures` of each layer's basis by the layer's name; layers whose basis has none are left out.

    Example:
        >>> from functools import partial
        >>> from kanzoo.models import KAN
        >>> from kanzoo_bases.mixture import Mixture
        >>> basis_figures(KAN([2, 5, 1], basis=partial(Mixture, bases=("chebyshev", "fourier"))))["1"]
        {'chebyshev': 0.5, 'fourier': 0.5}
    """
    layers = {name.removesuffix("expansion").removesuffix("."): part for name, part in model.named_modules() if isinstance(part, Expansion)}
    found = {name: expansion.basis.figures() for name, expansion in layers.items()}
    return {name: figures for name, figures in found.items() if figures}
