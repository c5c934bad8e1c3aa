import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanzoo.layers import RevIN


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(affine=True):
    layer = RevIN(3, affine=affine).double()
    if affine:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
            layer.bias.copy_(torch.tensor([1.0, 0.0, -4.0]))
    return layer


@pytest.mark.parametrize("affine", [False, True])
@given(offset=st.floats(-1e3, 1e3), scale=st.floats(1e-3, 1e3))
def test_one_inverts_the_other(affine, offset, scale):
    layer, x = make(affine), offset + scale * normal(4, 20, 3)
    torch.testing.assert_close(layer.denormalize(*layer.normalize(x)), x, rtol=1e-12, atol=1e-12 * (abs(offset) + scale))


def test_each_series_has_mean_zero_and_variance_one():
    x = 50 + 7 * normal(4, 20, 3) * torch.tensor([1.0, 10.0, 100.0])
    series, statistics = RevIN(3, affine=False, epsilon=1e-12).double().normalize(x)
    torch.testing.assert_close(series.mean(1), torch.zeros(4, 3, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(series.var(1, correction=0), torch.ones(4, 3, dtype=torch.float64), rtol=1e-10, atol=0)
    torch.testing.assert_close(statistics.mean, x.mean(1, keepdim=True))
    torch.testing.assert_close(statistics.std, x.std(1, correction=0, keepdim=True))


def test_affine_equals_the_formula():
    layer, x = make(), normal(4, 20, 3)
    series, (mean, std) = layer.normalize(x)
    torch.testing.assert_close(series, layer.weight * (x - mean) / std + layer.bias)


@pytest.mark.parametrize("affine", [False, True])
def test_a_constant_series_is_safe(affine):
    layer = make(affine).float()
    x = torch.full((2, 8, 3), 1e4, requires_grad=True)
    series, statistics = layer.normalize(x)
    expected = torch.tensor([1.0, 0.0, -4.0]) if affine else torch.zeros(3)
    torch.testing.assert_close(series, expected.expand(2, 8, 3))
    back = layer.denormalize(series, statistics)
    torch.testing.assert_close(back, x)
    back.sum().backward()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_a_forecast_follows_shift_and_scale():
    """What the model gives for a series that is shifted and scaled is shifted and scaled: its own numbers have not changed."""
    layer, model = make(), torch.nn.Linear(20, 5).double()

    def forecast(x):
        return layer(x, lambda series: model(series.transpose(1, 2)).transpose(1, 2))

    x = normal(4, 20, 3)
    assert forecast(x).shape == (4, 5, 3)
    torch.testing.assert_close(forecast(100 + 10 * x), 100 + 10 * forecast(x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"features": 0}, "features must be >= 1, got 0"), ({"epsilon": 0.0}, r"epsilon must be > 0, got 0\.0")],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        RevIN(**{"features": 3, **options})
