import pytest
import torch

from kanzoo.layers.squash import SquashInto

KINDS = ["tanh", "layernorm", "standardize", "clamp", "none"]
NASTY = torch.tensor([[0.0, 1.0, -1.0], [1e3, -1e3, 1e-30], [2.0, 3.0, 5.0]])


@pytest.mark.parametrize("kind", ["tanh", "layernorm", "clamp"])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (0.0, 1.0), (-3.0, 5.0)])
def test_result_is_inside_the_domain(kind, domain):
    y = SquashInto(kind, domain, 3)(NASTY)
    assert y.min() >= domain[0]
    assert y.max() <= domain[1]


def test_tanh_has_slope_one_at_the_centre():
    x = torch.full((1, 1), 1.0, dtype=torch.float64, requires_grad=True)
    y = SquashInto("tanh", (-3.0, 5.0), 1)(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert y.item() == 1.0
    assert slope.item() == 1.0


@pytest.mark.parametrize("domain", [(-1.0, 1.0), (-2.0, 2.0), (-3.0, 5.0), (0.0, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_exact_to_the_last_bits_of_the_domain(domain, dtype):
    x = torch.linspace(-20, 20, 100_001, dtype=dtype)[:, None]
    center, half_width = sum(domain) / 2, (domain[1] - domain[0]) / 2
    exact = center + half_width * torch.tanh((x.double() - center) / half_width)
    error = (SquashInto("tanh", domain, 1)(x).double() - exact).abs().max()
    assert error < 4 * torch.finfo(dtype).eps * max(map(abs, domain))


def test_clamp_is_the_identity_inside():
    x = torch.linspace(-1, 1, 11)[:, None]
    assert torch.equal(SquashInto("clamp", (-1.0, 1.0), 1)(x), x)


def test_layernorm_is_tanh_of_half_the_standardised_features():
    x = 3 * torch.randn(200, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 7
    standard = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
    squash = SquashInto("layernorm", (0.0, 4.0), 64).double()
    torch.testing.assert_close(squash(x), 2 + 2 * torch.tanh(standard / 2))
    assert sorted(name for name, _ in squash.named_parameters()) == ["norm.bias", "norm.weight"]


def test_standardize_is_layer_normalisation_and_nothing_else():
    x = 3 * torch.randn(200, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 7
    standard = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
    squash = SquashInto("standardize", (0.0, 4.0), 64).double()
    torch.testing.assert_close(squash(x), standard)
    assert sorted(name for name, _ in squash.named_parameters()) == ["norm.bias", "norm.weight"]
    assert torch.equal(SquashInto("standardize", (0.0, 4.0), 1)(x[:, :1]), x[:, :1])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_bounded_stays_inside(kind):
    squash = SquashInto(kind, (-0.5, 0.5), 3)
    assert squash.is_bounded is bool((squash(NASTY).abs() <= 0.5).all())


def test_layernorm_of_one_feature_would_erase_it_and_is_tanh():
    squash = SquashInto("layernorm", (-1.0, 1.0), 1)
    x = torch.randn(5, 1, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(squash(x), torch.tanh(x), rtol=0, atol=3e-7)
    assert not list(squash.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 4, 3), (0, 3)])
def test_shape_dtype_and_finite_gradients(kind, shape):
    x = torch.linspace(-1e3, 1e3, max(1, torch.Size(shape).numel())).resize_(shape).requires_grad_()
    y = SquashInto(kind, (-1.0, 1.0), 3)(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.isfinite().all()
    assert gradient.isfinite().all()


def test_unknown_kind_names_the_rule():
    with pytest.raises(ValueError, match="squash must be one of tanh, layernorm, standardize, clamp, none, got 'sigmoid'"):
        SquashInto("sigmoid", (-1.0, 1.0), 3)
