"""Random Fourier features."""

import numpy as np
import pytest
import torch

from kanzoo.layers import FourierFeatures


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0])
def test_products_approximate_the_gaussian_kernel(sigma: float) -> None:
    waves = 20_000
    features = FourierFeatures(3, 2 * waves, sigma=sigma, generator=generator()).double()
    x, y = torch.rand(2, 40, 3, generator=generator(1), dtype=torch.float64)
    found = (features(x) * features(y)).sum(-1) / waves
    kernel = torch.exp(-2 * torch.pi**2 * sigma**2 * (x - y).square().sum(-1))
    assert kernel.max() > 0.5
    assert float((found - kernel).abs().max()) < 5 * waves**-0.5  # five standard deviations: one wave's product is in [-1, 1]


def test_is_the_formula() -> None:
    features = FourierFeatures(2, 6, sigma=2.0, generator=generator()).double()
    x = torch.rand(4, 5, 2, generator=generator(1), dtype=torch.float64)
    phase = 2 * np.pi * np.einsum("abi,ji->abj", x.numpy(), features.frequencies.numpy())
    np.testing.assert_allclose(features(x).numpy(), np.concatenate([np.cos(phase), np.sin(phase)], -1), rtol=1e-12, atol=1e-12)


def test_frequencies_are_drawn_once_and_kept() -> None:
    state = torch.get_rng_state()
    one, two, other = (FourierFeatures(5, 4000, sigma=3.0, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.frequencies, two.frequencies)
    assert not torch.equal(one.frequencies, other.frequencies)
    assert float(one.frequencies.std()) == pytest.approx(3, rel=0.03)
    assert not list(one.parameters())
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.frequencies, other.frequencies)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_features": 0}, "in_features must be >= 1, got 0"),
        ({"num_features": 5}, "num_features must be an even number >= 2, got 5"),
        ({"num_features": 0}, "num_features must be an even number >= 2, got 0"),
        ({"sigma": 0.0}, "sigma must be > 0, got 0.0"),
    ],
)
def test_errors_name_the_rule(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FourierFeatures(**{"in_features": 2, **arguments})  # type: ignore[arg-type]
