import copy
import io
import pickle
from functools import partial

import pytest
import torch
from numpy.polynomial.legendre import leggauss
from torch import nn
from torch.nn import functional as F

from kanzoo.basis import ColumnBasis, EdgeBasis
from kanzoo.layers import KANLinear
from kanzoo.layers.expansion import refit
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev

NAMES = sorted(plugins("basis"))


class Wave(EdgeBasis):
    reference = "none"

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, (-1.0, 1.0))
        rate = torch.arange(1.0, 1 + in_features * out_features).view(out_features, in_features)
        self.rate = nn.Parameter(rate / rate.numel())

    def forward(self, x):
        return torch.sin(3 * self.rate * x.unsqueeze(-2) + 0.3)


class Fixed(ColumnBasis):
    resolution, support, reference = "degree", "global", "none"

    def __init__(self, in_features: int, *, degree: int = 3) -> None:
        super().__init__(in_features, degree, (-1.0, 1.0))

    def columns(self, x):
        return [x**power for power in range(1, self.num_basis + 1)]

    def initial_scale(self):
        return 1.0 / torch.arange(1, self.num_basis + 1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=1, dtype=torch.float32):
    return 2 * torch.rand(shape, generator=generator(seed), dtype=dtype) - 1


def make(basis=Chebyshev, in_features=3, out_features=2, **options):
    return KANLinear(in_features, out_features, basis, **{"generator": generator(), **options})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "layernorm", "clamp", "none"])
@pytest.mark.parametrize("residual", ["silu", "identity", "none"])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_formula(name, squash, residual, bias):
    layer = make(find("basis", name).load(), squash=squash, residual=residual, bias=bias).double()
    x = uniform(4, 5, 3, dtype=torch.float64)
    with torch.no_grad():
        if bias:
            layer.bias.copy_(torch.tensor([0.5, -2.0]))
        if layer.expansion is not None:
            values = layer.expansion.basis(layer.expansion.squash(x))
            expected = torch.einsum("oik,...ik->...o", layer.coeff, values)
        else:
            expected = torch.einsum("oi,...oi->...o", layer.coeff[..., 0], layer.edge(layer.squash(x)))
        if residual != "none":
            expected += (F.silu(x) if residual == "silu" else x) @ layer.residual_weight.T
        if bias:
            expected += torch.tensor([0.5, -2.0], dtype=torch.float64)
        torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_coeff_is_a_view_of_the_basis_major_matrix():
    layer = make()
    assert layer.weight.shape == (2, 8 * 3)
    assert layer.coeff.shape == (2, 3, 8)
    assert layer.coeff[1, 2, 5] == layer.weight[1, 5 * 3 + 2]
    with torch.no_grad():
        layer.coeff[1, 2, 5] = 7.0
    assert layer.weight[1, 5 * 3 + 2] == 7.0


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3), (2, 1, 4), (0,)])
@pytest.mark.parametrize("in_features", [1, 3])
def test_any_leading_dimensions(basis, batch, in_features):
    layer = make(basis, in_features)
    x = uniform(*batch, in_features)
    y = layer(x)
    assert y.shape == (*batch, 2)
    flat = layer(x.reshape(-1, in_features))
    torch.testing.assert_close(y.reshape(-1, 2), flat)


@pytest.mark.parametrize("name", [*NAMES, "edge", "damped"])
@pytest.mark.parametrize("residual", ["silu", "identity", "none"])
def test_unit_output_variance_over_the_domain(name, residual):
    basis = {"edge": Wave, "damped": Fixed}.get(name) or find("basis", name).load()
    fan_in, outputs = 8, 4000
    layer = make(basis, fan_in, outputs, residual=residual, squash="none")
    domain = layer.edge.domain if layer.edge is not None else layer.expansion.basis.domain
    nodes, weights = leggauss(40)  # Gauss: exact for polynomials up to degree 79
    with torch.no_grad():
        variance = [float(layer(torch.full((fan_in,), (sum(domain) + x * (domain[1] - domain[0])) / 2)).square().mean()) for x in nodes]
    assert weights @ variance / 2 == pytest.approx(1.0, abs=3 * (2 / outputs) ** 0.5)  # three deviations of a mean of squares


def test_initial_scale_damps_coefficients():
    std = make(Fixed, 8, 4000).coeff.std(dim=(0, 1)).detach()
    torch.testing.assert_close(std / std[0], torch.tensor([1.0, 1 / 2, 1 / 3]), rtol=0.03, atol=0)


@pytest.mark.parametrize("basis", [Chebyshev, Wave])
def test_generator_is_the_only_source_of_chance(basis):
    before = torch.get_rng_state()
    one, same, other = (make(basis, generator=generator(seed)) for seed in (0, 0, 1))
    one(uniform(5, 3))
    assert torch.equal(before, torch.get_rng_state())
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, same.get_parameter(name)), name
    assert not torch.equal(one.weight, other.weight)
    assert not torch.equal(one.residual_weight, other.residual_weight)


def test_without_generator_the_global_seed_decides():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        one = make(generator=None)
        two = make(generator=None)
        torch.manual_seed(3)
        again = make(generator=None)
    assert torch.equal(one.weight, again.weight)
    assert not torch.equal(one.weight, two.weight)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "layernorm", "clamp", "none"])
def test_gradients_reach_every_parameter(name, squash):
    layer = make(find("basis", name).load(), squash=squash)
    layer(uniform(16, 3)).square().sum().backward()
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("squash", ["tanh", "clamp"])
def test_finite_far_outside_the_domain(name, squash):
    layer = make(find("basis", name).load(), squash=squash)
    x = torch.tensor([[0.0, 1.0, -1.0], [1e3, -1e3, 1e-30], [2.0, -2.0, 5.0]], requires_grad=True)
    layer(x).sum().backward()
    assert layer(x).isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
def test_copies_and_state_dict(basis):
    layer, x = make(basis, squash="layernorm"), uniform(7, 3)
    if basis is BSpline:
        layer.update_grid(uniform(50, 3, seed=4))
    expected = layer(x)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    fresh = make(basis, squash="layernorm", generator=generator(9))
    fresh.load_state_dict(torch.load(buffer, weights_only=True))
    for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), expected)


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
def test_export_keeps_the_batch_free(basis):
    layer = make(basis).eval()
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(layer, (uniform(4, 3),), dynamic_shapes=({0: batch},)).module()
    x = uniform(9, 3)
    torch.testing.assert_close(program(x), layer(x))


@pytest.mark.slow
@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # of torch's compiler
def test_compile(basis, backend):
    torch.compiler.reset()
    layer = make(basis)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    x = uniform(9, 3).requires_grad_()
    y = compiled(x)
    torch.testing.assert_close(y, layer(x))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, torch.autograd.grad(layer(x).sum(), x)[0], rtol=1e-4, atol=1e-5)


def linear_coeff(basis, slope, offset):
    """Coefficients of slope * x + offset by the spline's Greville points: every spline space of degree >= 1 holds it exactly."""
    knots, degree = basis.knots, basis.degree
    centers = torch.stack([knots[:, k + 1 : k + 1 + degree].mean(-1) for k in range(basis.num_basis)], -1)
    return slope[..., None] * centers + offset[..., None]


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("squash", ["tanh", "layernorm", "clamp", "none"])
def test_grid_update_keeps_the_function(degree, squash):
    layer = make(partial(BSpline, degree=degree), 3, 4, squash=squash)
    with torch.no_grad():
        layer.coeff.copy_(linear_coeff(layer.expansion.basis, uniform(4, 3, seed=5), uniform(4, 3, seed=6)))
    x = uniform(20, 15, 3).pow(3)
    before, knots = layer(x).detach(), layer.expansion.basis.knots.clone()
    layer.update_grid(x)
    assert not torch.equal(knots, layer.expansion.basis.knots)
    torch.testing.assert_close(layer(x).detach(), before, rtol=0, atol=1e-5 * float(before.abs().max()))


@pytest.mark.parametrize("count", [1, 4, 40])
def test_grid_update_on_few_or_constant_samples_keeps_values_there(count):
    layer = make(BSpline, 2, 3)
    x = uniform(count, 2).mul(0.5)
    x[:, 1] = 0.25
    with torch.no_grad():
        layer.coeff.copy_(linear_coeff(layer.expansion.basis, uniform(3, 2, seed=5), uniform(3, 2, seed=6)))
    before = layer(x).detach()
    layer.update_grid(x)
    torch.testing.assert_close(layer(x).detach(), before, rtol=0, atol=1e-5 * float(before.abs().max()))


def test_grid_that_does_not_move_keeps_its_function_everywhere():
    layer = make(BSpline, 2, 3)
    everywhere = uniform(200, 2)
    before = layer(everywhere).detach()
    layer.update_grid(torch.full((30, 2), 0.25))  # constant features keep their knots
    torch.testing.assert_close(layer(everywhere).detach(), before)


def test_refit_to_more_functions():
    x = uniform(100, 2, dtype=torch.float64)
    old, new = Chebyshev(2, degree=4)(x), Chebyshev(2, degree=7)(x)
    coeff = uniform(3, 2, 4, dtype=torch.float64)
    found = refit(old, new, coeff)
    assert found.shape == (3, 2, 7)
    torch.testing.assert_close(found[..., :4], coeff)
    assert found[..., 4:].abs().max() < 1e-12


def test_grid_update_of_a_fixed_basis_is_refused():
    with pytest.raises(TypeError, match="Chebyshev has no grid"):
        make().update_grid(uniform(5, 3))
    with pytest.raises(TypeError, match="Wave has no grid"):
        make(Wave).update_grid(uniform(5, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_features": 0}, "in_features and out_features must be >= 1, got 0 and 2"),
        ({"out_features": 0}, "in_features and out_features must be >= 1, got 3 and 0"),
        ({"residual": "relu"}, "residual must be one of silu, identity, none, got 'relu'"),
        ({"squash": "relu"}, "squash must be one of"),
        ({"basis": partial(Chebyshev, degree=0)}, "degree must be >= 1, got 0"),
    ],
)
def test_errors_name_rule_and_value(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_what_is_no_basis_is_refused():
    with pytest.raises(TypeError, match="must make a Basis from in_features, got"):
        make(lambda in_features: nn.Identity())


@pytest.mark.parametrize("basis", ["chebyshev", Chebyshev(3), None])
def test_what_is_no_factory_is_refused(basis):
    with pytest.raises(TypeError, match=r"basis must be a class or a functools\.partial of one, .*, got ('chebyshev'|an instance of)"):
        make(basis)


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
@pytest.mark.parametrize("shape", [(4, 2), (4, 1), (6, 4), (2,), ()])
def test_inputs_of_another_width_are_refused(basis, shape):
    layer = make(basis, residual="none")  # without the residual branch one column would be taken for all
    with pytest.raises(ValueError, match=r"the last dimension of inputs must be in_features=3, got the shape \("):
        layer(torch.zeros(shape))
    if basis is BSpline:
        with pytest.raises(ValueError, match="the last dimension of inputs must be in_features=3"):
            layer.update_grid(torch.zeros(shape))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", [{}, {"squash": "none"}, {"squash": "clamp", "residual": "none"}])
def test_half_precision_keeps_its_digits(name, dtype, options):
    layer, x = make(find("basis", name).load(), 6, 4, **options), uniform(10, 6)
    exact = layer(x)
    y = layer.to(dtype)(x.to(dtype))
    y.sum().backward()
    assert y.dtype == dtype
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    assert (y.float() - exact).norm() < 16 * torch.finfo(dtype).eps * exact.norm()


@pytest.mark.parametrize("name", NAMES)
def test_made_without_memory(name):
    with torch.device("meta"):
        layer = make(find("basis", name).load())
    assert {tensor.device.type for tensor in (*layer.parameters(), *layer.buffers())} == {"meta"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_samples_that_are_not_finite_do_not_move_a_grid(value):
    x = uniform(200, 3) ** 3
    spoilt = torch.cat([x, torch.tensor([[value, 0.0, 0.0], [0.0, 0.0, value]])])
    clean, dirty = (make(partial(BSpline, grid_size=6), squash="none") for _ in range(2))
    clean.update_grid(x)
    dirty.update_grid(spoilt)
    assert torch.equal(clean.expansion.basis.knots, dirty.expansion.basis.knots)
    assert torch.equal(clean(x), dirty(x))
    before = dirty(x)
    dirty.update_grid(torch.full((5, 3), value))
    assert torch.allclose(dirty(x), before, atol=1e-6)


@pytest.mark.parametrize("spread", [0.1, 1e-3, 1e-5, 0.0])
@pytest.mark.parametrize("outlier", [False, True])
def test_update_grid_on_a_narrow_feature_leaves_the_rest_of_the_domain_bounded(spread: float, outlier: bool) -> None:
    layer = KANLinear(2, 3, partial(BSpline, grid_size=10), squash="clamp", residual="none", generator=torch.Generator().manual_seed(0))
    domain = torch.linspace(-1, 1, 201).unsqueeze(1).expand(-1, 2)
    before = layer(domain)
    samples = 0.3 + spread * torch.rand(200, 2, generator=torch.Generator().manual_seed(1))
    if outlier:
        samples[0] = -0.9
    layer.update_grid(samples)
    assert layer(domain).abs().max() < 3 * before.abs().max()


@pytest.mark.parametrize("basis", [Chebyshev, BSpline, Wave])
def test_cut_edges_give_zero_learn_nothing_and_are_saved(basis):
    layer, x = make(basis, 3, 9), uniform(7, 3)
    mask = torch.rand(9, 3, generator=generator()) > 0.4
    points = torch.linspace(-1, 1, 5)
    whole = layer.edge_functions(points)
    layer.mask_edges(mask)
    expected = sum(whole_at(layer, x, i) * mask[:, i] for i in range(3))
    assert torch.allclose(layer(x), expected, atol=1e-6)
    assert torch.equal(layer.edge_functions(points), whole * mask.T)
    layer(x).square().sum().backward()
    assert not layer.residual_weight.grad[~mask].any()
    if layer.edge is None:
        gradient = layer.weight.grad.permute(2, 0, 1) if layer.is_local else layer.weight.grad.view(9, -1, 3).transpose(1, 2)
        assert not gradient[~mask].any()
        assert gradient[mask].any()
    twin = make(basis, 3, 9, generator=generator(3))
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin(x), layer(x))
    twin.load_state_dict(make(basis, 3, 9).state_dict())
    assert twin.edge_mask is None
    with pytest.raises(ValueError, match=r"mask must have the shape \(9, 3\), got \(3, 9\)"):
        layer.mask_edges(mask.T)


def whole_at(layer, x, i):
    """Return the edge functions of input i at its values, mask or not."""
    mask, layer.edge_mask = layer.edge_mask, None
    value = torch.stack([layer.edge_functions(point[i : i + 1])[0, i] for point in x])
    layer.edge_mask = mask
    return value
