import pytest
import torch

from kanzoo.layers.squash import SquashInto

KINDS = ["tanh", "layernorm", "clamp", "none"]
NASTY = torch.tensor([[0.0, 1.0, -1.0], [1e3, -1e3, 1e-30], [2.0, 3.0, 5.0]])


@pytest.mark.parametrize("kind", ["tanh", "clamp"])
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


def test_clamp_is_the_identity_inside():
    x = torch.linspace(-1, 1, 11)[:, None]
    assert torch.equal(SquashInto("clamp", (-1.0, 1.0), 1)(x), x)


def test_layernorm_fills_the_domain_with_two_deviations():
    x = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    y = SquashInto("layernorm", (0.0, 4.0), 64)(x)
    torch.testing.assert_close(y.mean(-1), torch.full((200,), 2.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(-1, correction=0), torch.full((200,), 1.0), atol=1e-3, rtol=0)


def test_layernorm_of_one_feature_is_the_identity():
    squash = SquashInto("layernorm", (-1.0, 1.0), 1)
    x = torch.randn(5, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(squash(x), x)
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
    with pytest.raises(ValueError, match="squash must be one of tanh, layernorm, clamp, none, got 'sigmoid'"):
        SquashInto("sigmoid", (-1.0, 1.0), 3)
