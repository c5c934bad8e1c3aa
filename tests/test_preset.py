"""Presets: how one is put over an experiment, and that its network is the published one.

The published formulas are written here in plain torch, and evaluated with the network's own numbers, far outside the domains too.
"""

import math
from pathlib import Path

import pytest
import torch
from scipy.special import eval_jacobi
from torch import nn
from torch.nn import functional as F

from kanzoo import config_file
from kanzoo.config import compose, compose_grid
from kanzoo.construction import build
from kanzoo.errors import InvalidInput
from kanzoo.layers import KANConv2d, KANLinear
from kanzoo.models import num_parameters

PRESETS = config_file.names("preset")


def one(*overrides, config="digits_dense"):
    (cell,) = compose(config, overrides)
    return cell


def network(preset, *overrides, config="digits_dense"):
    """Return the network of a preset in float64, all its numbers drawn anew and of the order of one."""
    model = build(one(f"+preset={preset}", *overrides, config=config)).model.double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / math.sqrt(parameter.shape[-1]))
    return model


def inputs(rows=20, features=64):
    return 2 * torch.randn(rows, features, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def kan_layers(model):
    return [part for part in model.modules() if isinstance(part, KANLinear)]


def norms(model, kind):
    return [part for part in model.modules() if isinstance(part, kind)]


# The override


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("config", ["digits_dense", "digits_conv", "regression"])
def test_every_preset_builds(config, name):
    cell = one(f"+preset={name}", config=config)
    assert cell.model_label == name
    x = build(cell).data.train[:5][0]
    assert build(cell).model(x).isfinite().all()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_tells_its_source_and_is_no_basis(name):
    lines = config_file.path_of(name, "preset").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith(("# Source:", "# Deviates:"))] == ["# Source", "# Deviates"]
    assert name not in {path.stem for path in Path("bases/kanzoo_bases").glob("*.py")}


def test_a_preset_takes_the_place_of_the_experiments_basis_and_model():
    plain, cell = one(config="mnist_dense"), one("+preset=cheby_kan", config="mnist_dense")
    assert cell.basis == {"name": "chebyshev", "degree": 4, "smooth": False}
    assert (cell.model["squash"], cell.model["norm"], cell.model["bias"]) == ("tanh", "layer", True)
    assert (cell.task, cell.trainer) == (plain.task, plain.trainer)
    assert one("+preset=pykan", config="mnist_dense").trainer == plain.trainer | {"grid_updates": 10}


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        (["+preset=fast_kan", "basis.grid_size=12"], "fast_kan(grid_size=12)"),
        (["basis.grid_size=12", "+preset=fast_kan"], "fast_kan(grid_size=12)"),
        (["+preset=fast_kan", "trainer.lr=0.1", "model.residual=none", "seed=3"], "fast_kan(residual=none, lr=0.1)"),
        (["+preset=fast_kan", "basis.name=bspline"], "fast_kan(basis=bspline)"),
        (["+preset=fast_kan", "basis.name=bspline", "basis.degree=2"], "fast_kan(basis=bspline, degree=2)"),
        (["+preset=fast_kan", "model.init=0.1", "basis.name=gaussian_rbf"], "fast_kan"),
        (["+preset=mlp_layernorm", "model.width=2"], "mlp_layernorm(width=2)"),
    ],
)
def test_other_overrides_go_over_a_preset_in_any_order_and_into_its_label(overrides, label):
    assert one(*overrides).model_label == label
    assert one(*reversed(overrides)).config_hash == one(*overrides).config_hash


def test_the_identity_is_that_of_the_resolved_config(tmp_path):
    cell = one("+preset=fast_kan")
    spelt = ["basis.name=gaussian_rbf", "model.squash=standardize", "model.extrapolate=basis", "model.init=0.1"]
    assert cell.config_hash == one(*spelt).config_hash
    (tmp_path / "again.yaml").write_text(cell.to_yaml())
    assert one(config=str(tmp_path / "again.yaml")).config_hash == cell.config_hash
    assert cell.command == "kanzoo run digits_dense +preset=fast_kan"


@pytest.mark.parametrize("name", ["digits_dense", "digits_conv"])
@pytest.mark.parametrize(
    ("idle", "key"),
    [
        ("model.norm=none", "model.norm=batch"),
        ("model.norm_at=after", None),
        ("model.init=", "model.init=0.2"),
        ("model.activation=none", "model.activation=silu"),
    ],
)
@pytest.mark.parametrize("model", ["kan", "baseline"])
def test_options_that_change_nothing_are_no_part_of_the_identity(name, idle, key, model):
    plain = one(f"model.name={model}", config=name)
    assert one(f"model.name={model}", idle, config=name).config_hash == plain.config_hash
    if key and (model == "kan" or "norm" in key):
        assert one(f"model.name={model}", key, config=name).config_hash != plain.config_hash


def test_presets_sweep_and_replace_the_models_of_a_benchmark(tmp_path):
    cells = compose("digits_dense", ["+preset=fast_kan,cheby_kan", "seed=0,1"])
    assert [(cell.model_label, cell.seed) for cell in cells] == [("fast_kan", 0), ("fast_kan", 1), ("cheby_kan", 0), ("cheby_kan", 1)]
    path = tmp_path / "own.yaml"
    path.write_text("experiments: [digits_dense]\nmodels: [+preset=fast_kan, '+preset=pykan basis.degree=2', model.name=baseline]\n")
    labels = [cell.model_label for cell in compose_grid(str(path))[1]]
    assert labels == ["fast_kan", "pykan(degree=2)", "mlp"]
    assert [cell.model_label for cell in compose_grid(str(path), ["+preset=wav_kan_bn"])[1]] == ["wav_kan_bn"]


def test_a_preset_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("basis: {name: jacobi, degree: 2}\ntrainer: {lr: 0.5}\n")
    cell = one(f"+preset={path}")
    assert (cell.model_label, cell.basis["degree"], cell.trainer["lr"], cell.trainer["max_epochs"]) == ("mine", 2, 0.5, 30)


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (["+preset=fastkan"], "unknown preset 'fastkan'", "Did you mean 'fast_kan'? Presets: "),
        (["+preset="], "preset must be a plain name or a path that ends in .yaml, got ''", ""),
        (["preset=fast_kan"], "unknown key 'preset'", "Did you mean '+preset'? "),
        (["+preset=fast_kan", "+preset=pykan"], "+preset must be given once, got fast_kan and pykan", ""),
        (["+preset=fast_kan", "model.name=baseline"], "model.name must be kan with +preset=fast_kan, got 'baseline'", ""),
        (["+preset=fast_kan", "basis.degree=3"], "unknown key 'basis.degree'", "Keys: "),
        (["model.init=fast"], "model.init must be a formula of fan_in, fan_out, K and numbers", ""),
        (["model.norm=instance"], "model.norm must be one of none, layer, batch, got 'instance'", ""),
        (["model.activation=relu"], "model.activation must be one of none, silu, got 'relu'", ""),
        (["model.norm_at=inside"], "model.norm_at must be one of between, before, after, got 'inside'", ""),
    ],
)
def test_what_is_wrong_is_refused_by_name(overrides, message, hint):
    with pytest.raises(InvalidInput) as caught:
        compose("digits_dense", overrides)
    assert caught.value.message.startswith(message)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: {name: image}\n", "unknown key 'task' in preset"),
        ("basis: bspline\n", "basis must be a section of keys in preset"),
        ("model: {squash: none}\n", "basis.name must be given"),
    ],
)
def test_a_bad_preset_is_refused(tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        one(f"+preset={tmp_path / 'bad.yaml'}")


# The networks


def cox_de_boor(x, knots, degree):
    """Return all splines on the knots, `(*batch, in, K)`, by the recurrence from the indicators of the cells."""
    x = x.unsqueeze(-1)
    values = ((x >= knots[:-1]) & (x < knots[1:])).to(x)
    for p in range(1, degree + 1):
        left = (x - knots[: -p - 1]) / (knots[p:-1] - knots[: -p - 1])
        right = (knots[p + 1 :] - x) / (knots[p + 1 :] - knots[1:-p])
        values = left * values[..., :-1] + right * values[..., 1:]
    return values


def even_knots(grid_size, degree, low=-1.0, high=1.0):
    return low + (high - low) / grid_size * torch.arange(-degree, grid_size + degree + 1, dtype=torch.float64)


def sum_of_edges(values, coeff):
    return torch.einsum("nik,oik->no", values, coeff)


def spline_layer(layer, x, grid_size):
    branch = F.linear(F.silu(x), layer.residual_weight)
    return branch + sum_of_edges(cox_de_boor(x, even_knots(grid_size, 3), 3), layer.coeff)


@pytest.mark.parametrize(("preset", "grid_size"), [("efficient_kan", 5), ("pykan", 3)])
def test_spline_kans_are_silu_beside_the_cox_de_boor_splines(preset, grid_size):
    model = network(preset)
    x = expected = inputs()
    for layer in kan_layers(model):
        expected = spline_layer(layer, expected, grid_size)
    assert layer.bias is None
    torch.testing.assert_close(model(x), expected)


def test_efficient_kan_in_a_convolution_is_its_layer_on_every_patch():
    conv = next(part for part in network("efficient_kan", config="digits_conv").modules() if isinstance(part, KANConv2d))
    x = inputs(3).view(3, 1, 8, 8)
    patches = F.unfold(x, 3, padding=1).transpose(1, 2)  # (images, places, points)
    coeff = conv.coeff.flatten(1, 3)
    values = cox_de_boor(patches, even_knots(5, 3), 3)
    y = torch.einsum("npik,oik->nop", values, coeff) + torch.einsum("npi,oi->nop", F.silu(patches), conv.residual_weight.flatten(1))
    torch.testing.assert_close(conv(x), y.view(3, -1, 8, 8))


KKAN_SMALL = ("task.dataset=mnist_5k", "task.channels=[5,5]", "task.padding=valid", "task.batch_norm=false")


def test_kan_conv_is_a_spline_layer_on_every_patch_with_max_pooling_and_no_padding():
    model = network("kan_conv", *KKAN_SMALL, config="digits_conv")
    x = expected = inputs(3, 784).view(3, 1, 28, 28)
    convs = [part for part in model.modules() if isinstance(part, KANConv2d)]
    for conv, size in zip(convs, (26, 11), strict=True):
        patches = F.unfold(expected, 3).transpose(1, 2)  # (images, places, channels x points)
        values = cox_de_boor(patches, even_knots(10, 3), 3)
        y = torch.einsum("npjk,ojk->nop", values, conv.coeff.flatten(1, 3)) + (
            F.silu(patches) @ conv.residual_weight.flatten(1).T
        ).transpose(1, 2)
        expected = F.max_pool2d(y.view(3, 5, size, size), 2)
        assert conv.bias is None
    (dense,) = kan_layers(model)
    torch.testing.assert_close(model(x), spline_layer(dense, expected.flatten(1), 10))
    edges = sum(part.residual_weight.numel() for part in (*convs, dense))
    assert sum(num_parameters(model).values()) + edges == 22_800  # the table's 22.80 K; another number an edge is in the original


def kagn_layer(layer, x, kernel_size=3, stride=1):
    """Return what the published layer of images gives before its normalisation, with a constant on every edge, of padded images."""
    patches = F.unfold(x, kernel_size, padding=kernel_size // 2, stride=stride)  # (images, channels x points, places)
    z, w = patches.tanh(), layer.expansion.basis.recurrence
    polynomials = [torch.ones_like(z), z]
    for n in range(1, len(w) + 1):
        m = n + 1
        beta = ((m + n) * (m - n) * n**2) / (m**2 / (4.0 * n**2 - 1.0)) * w[n - 1]
        polynomials.append(z * polynomials[-1] - beta * polynomials[-2])
    coeff = layer.coeff.flatten(1, -2)
    constants = torch.randn(coeff.shape[:2], generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    constants += ((layer.bias * (1 + math.exp(-1)) - constants.sum(1)) / coeff.shape[1]).unsqueeze(1)
    y = torch.einsum("knjp,ojk->nop", F.silu(torch.stack(polynomials)), torch.cat([constants.unsqueeze(-1), coeff], -1))
    y = y + layer.residual_weight.flatten(1) @ F.silu(patches)
    return y.unflatten(-1, [(length - 1) // stride + 1 for length in x.shape[2:]])


def batch_normalised(x, norm):
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)


def test_torch_conv_kan_is_silu_of_learnt_polynomials_of_tanh_beside_silu_with_batch_normalisation():
    shape = ("task.channels=[3,4,5]", "task.strides=[1,2,2]", "task.average=true", "task.batch_norm=false")
    model = network("torch_conv_kan", *shape, config="digits_conv")
    x = y = inputs(6).view(6, 1, 8, 8)
    convs = [part for part in model.modules() if isinstance(part, KANConv2d)]
    for index, (conv, norm, stride) in enumerate(zip(convs, norms(model, nn.BatchNorm2d), (1, 2, 2), strict=True)):
        y = batch_normalised(kagn_layer(conv, F.silu(y) if index else y, stride=stride), norm)
    (dense,), (norm,) = kan_layers(model), norms(model, nn.BatchNorm1d)
    y = kagn_layer(dense, F.silu(y.mean((2, 3), keepdim=True)), kernel_size=1)
    torch.testing.assert_close(model(x), batch_normalised(y, norm).flatten(1))


def test_torch_conv_kan_has_the_parameters_of_the_table_but_for_constants_and_idle_numbers():
    shape = ("task.channels=[32,64,128,256]", "task.strides=[1,2,2,1]", "task.average=true", "task.batch_norm=false")
    model = build(one("+preset=torch_conv_kan", *shape, config="digits_conv")).model
    convs = [part for part in model.modules() if isinstance(part, KANConv2d)]
    numbers = sum(parameter.numel() for part in (*convs, *norms(model, nn.BatchNorm2d)) for parameter in part.parameters())
    for conv in convs:
        numbers += conv.residual_weight.numel() - conv.out_channels + 2  # constants, no bias, and w_0 and w_3, which nothing reads
        assert float((conv.coeff.std() / conv.residual_weight.std()).detach()) == pytest.approx((4 * conv.out_channels) ** -0.5, rel=0.1)
    assert numbers + 256 * 10 + 10 == 1_940_346  # with an ordinary linear layer


@pytest.mark.slow
def test_pykan_is_pykan():
    kan = pytest.importorskip("kan")
    with torch.random.fork_rng():
        theirs = kan.KAN([64, 5, 10], grid=3, k=3, auto_save=False, seed=0).double()
    ours = network("pykan", "task.hidden=[5]")
    with torch.no_grad():
        for layer, act in zip(kan_layers(ours), theirs.act_fun, strict=True):
            act.coef.copy_(layer.coeff.transpose(0, 1) / act.scale_sp.unsqueeze(-1))
            act.scale_base.copy_(layer.residual_weight.T)
    torch.testing.assert_close(ours(inputs()), theirs(inputs()), rtol=1e-5, atol=1e-5)


def test_fast_kan_is_gaussians_of_the_normalised_inputs_beside_a_linear_layer_of_silu():
    model = network("fast_kan")
    x = expected = inputs()
    centers = torch.linspace(-2, 2, 8, dtype=torch.float64)
    for layer, norm in zip(kan_layers(model), norms(model, nn.LayerNorm), strict=True):
        place = F.layer_norm(expected, expected.shape[-1:], norm.weight, norm.bias)
        values = (-(((place.unsqueeze(-1) - centers) / (4 / 7)) ** 2)).exp()
        expected = sum_of_edges(values, layer.coeff) + F.linear(F.silu(expected), layer.residual_weight, layer.bias)
    torch.testing.assert_close(model(x), expected)


def polynomial_kan(model, x, polynomial, degree):
    """Return what layers of polynomials of tanh give, with layer normalisation between them and a constant on every edge."""
    norm = iter(norms(model, nn.LayerNorm))
    for index, layer in enumerate(kan_layers(model)):
        if index:
            one = next(norm)
            x = F.layer_norm(x, x.shape[-1:], one.weight, one.bias)
        values = torch.stack([polynomial(n, x.detach().tanh()) for n in range(degree + 1)], -1)
        constants = torch.randn(layer.out_features, layer.in_features, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        constants += ((layer.bias - constants.sum(1)) / layer.in_features).unsqueeze(1)
        x = sum_of_edges(values, torch.cat([constants.unsqueeze(-1), layer.coeff], -1))
    return x


def test_bsrbf_kan_is_splines_and_gaussians_with_the_same_weights_after_normalisation():
    model = network("bsrbf_kan")
    x = expected = inputs()
    centers = torch.linspace(-1.5, 1.5, 8, dtype=torch.float64)
    for layer, norm in zip(kan_layers(model), norms(model, nn.LayerNorm), strict=True):
        z = F.layer_norm(expected, expected.shape[-1:], norm.weight, norm.bias)
        values = cox_de_boor(z, even_knots(5, 3, -1.5, 1.5), 3) + (-(((z.unsqueeze(-1) - centers) / (3 / 7)) ** 2)).exp()
        expected = sum_of_edges(values, layer.coeff) + F.linear(F.silu(z), layer.residual_weight)
        assert layer.bias is None
    torch.testing.assert_close(model(x), expected)


def test_cheby_kan_is_cosines_of_the_arc_cosine_with_a_constant_on_every_edge():
    model, x = network("cheby_kan"), inputs()
    torch.testing.assert_close(model(x), polynomial_kan(model, x, lambda n, z: (n * z.acos()).cos(), 4))


def test_jacobi_kan_is_the_polynomials_of_scipy_with_a_constant_on_every_edge():
    model, x = network("jacobi_kan"), inputs()
    torch.testing.assert_close(model(x), polynomial_kan(model, x, lambda n, z: torch.from_numpy(eval_jacobi(n, 1, 1, z.numpy())), 3))


def test_fourier_kan_is_a_fourier_series_on_every_edge():
    model = network("fourier_kan")
    x = expected = 5 * inputs()
    frequency = torch.arange(1, 6)
    for layer in kan_layers(model):
        angle = expected.unsqueeze(-1) * frequency
        expected = layer.bias + sum_of_edges(angle.cos(), layer.coeff[..., ::2]) + sum_of_edges(angle.sin(), layer.coeff[..., 1::2])
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("training", [True, False])
def test_wav_kan_is_a_hat_on_every_edge_with_batch_normalisation_of_every_output(training):
    model = network("wav_kan_bn").train(training)
    x = expected = inputs()
    for layer, norm in zip(kan_layers(model), norms(model, nn.BatchNorm1d), strict=True):
        z = (expected.unsqueeze(1) - layer.edge.shift) / F.softplus(layer.edge.raw_scale)
        hat = 2 / (math.sqrt(3) * math.pi**0.25) * (z**2 - 1) * (-(z**2) / 2).exp()
        expected = (-layer.weight * hat).sum(-1)
        mean, variance = (expected.mean(0), expected.var(0, correction=0)) if training else (0, 1)
        expected = (expected - mean) / (variance + 1e-5) ** 0.5 * norm.weight + norm.bias
    torch.testing.assert_close(model(x), expected)


def test_mlp_layernorm_is_normalised_before_every_layer():
    model = network("mlp_layernorm")
    x = expected = inputs()
    for index, (layer, norm) in enumerate(zip(norms(model, nn.Linear), norms(model, nn.LayerNorm), strict=True)):
        expected = F.layer_norm(expected, expected.shape[-1:], norm.weight, norm.bias)
        expected = layer(F.silu(expected) if index else expected)
    torch.testing.assert_close(model(x), expected)


def test_power_mlp_is_cubes_of_rectified_mixtures_beside_silu_before_a_linear_layer():
    model = network("power_mlp", "task.hidden=[9,8]")
    (w0, b0, v0), (w1, b1, v1), (w2, b2) = (list(layer.parameters()) for layer in model)
    x = inputs()
    hidden = (x @ w0.T + b0).clamp(min=0).pow(3) + (x * x.sigmoid()) @ v0.T
    hidden = (hidden @ w1.T + b1).clamp(min=0).pow(3) + (hidden * hidden.sigmoid()) @ v1.T
    assert (hidden > 1).any()  # cubes that are seen
    torch.testing.assert_close(model(x), hidden @ w2.T + b2)


def test_faster_kan_is_the_bells_that_the_original_shows_with_their_whole_gradient():
    model = network("faster_kan")
    x = expected = inputs().requires_grad_()
    centers = torch.linspace(-1.2, 0.2, 8, dtype=torch.float64)
    for layer, norm in zip(kan_layers(model), norms(model, nn.LayerNorm), strict=True):
        place = F.layer_norm(expected, expected.shape[-1:], norm.weight, norm.bias)
        expected = sum_of_edges(1 - (place.unsqueeze(-1) - centers).tanh() ** 2, layer.coeff)
        assert layer.bias is None
    torch.testing.assert_close(model(x), expected)
    (ours,), (exact,) = (torch.autograd.grad(y.square().sum(), x) for y in (model(x), expected))
    torch.testing.assert_close(ours, exact)


def test_sine_kan_is_sines_with_the_phases_of_the_paper():
    model = network("sine_kan")
    x = expected = inputs()
    k = torch.arange(1, 9, dtype=torch.float64)
    growth = math.prod(0.9724108095811765 * g**-0.9884401790754128 + 0.999449553483052 for g in range(1, 8))
    for layer in kan_layers(model):
        phase = growth * (k / 9 + torch.linspace(0, math.pi, layer.in_features, dtype=torch.float64).unsqueeze(1))
        values = (expected.unsqueeze(-1) * layer.expansion.basis.frequency + phase).sin()
        expected = sum_of_edges(values, layer.coeff) + layer.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5)  # the buffer of phases has been rounded


def test_relu_kan_is_products_of_two_relus():
    model = network("relu_kan")
    x = expected = inputs()
    for layer in kan_layers(model):
        start, end = (side.T for side in layer.expansion.basis.ends())
        z = expected.unsqueeze(-1)
        values = ((end - z).relu() * (z - start).relu()) ** 2 * 16 / (end - start) ** 4
        expected = sum_of_edges(values, layer.coeff) + layer.bias
    torch.testing.assert_close(model(x), expected)


def test_kat_is_a_rational_function_a_group_before_a_linear_layer():
    model = network("kat")
    x = expected = inputs()
    for layer in kan_layers(model):
        a, b = layer.expansion.basis.numerator, layer.expansion.basis.denominator
        groups = expected.chunk(8, -1)
        bent = [sum(a[n] * z**n for n in range(6)) / (1 + sum(b[g, n - 1] * z**n for n in range(1, 5)).abs()) for g, z in enumerate(groups)]
        expected = F.linear(torch.cat(bent, -1), layer.coeff[..., 0], layer.bias)
    torch.testing.assert_close(model(x), expected)


# How they begin


@pytest.mark.parametrize(
    ("preset", "std"),
    [
        ("fast_kan", lambda n, k: 0.1),
        ("cheby_kan", lambda n, k: 1 / (n * 5)),
        ("jacobi_kan", lambda n, k: 1 / (n * 4)),
        ("fourier_kan", lambda n, k: 1 / math.sqrt(n * 5)),
        ("wav_kan_bn", lambda n, k: 1 / math.sqrt(3 * n)),
        ("bsrbf_kan", lambda n, k: 1 / math.sqrt(3 * n * k)),
        ("relu_kan", lambda n, k: 1 / math.sqrt(3 * n * k)),
        ("kat", lambda n, k: math.sqrt(2.8178 / n)),
    ],
)
def test_coefficients_begin_as_published(preset, std):
    for layer in kan_layers(build(one(f"+preset={preset}", "task.hidden=[128]")).model):
        expected = std(layer.in_features, layer.coeff.shape[-1])
        assert float(layer.coeff.detach().std()) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("preset", "grid_size", "noise", "scale"),
    [("efficient_kan", 5, 0.1, 3**-0.5), ("kan_conv", 10, 0.1, 3**-0.5), ("pykan", 3, 0.3, 1.0)],
)
def test_splines_begin_as_large_as_those_fitted_to_noise_at_the_knots(preset, grid_size, noise, scale):
    draw = torch.rand(grid_size + 1, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    knots = even_knots(grid_size, 3)
    ends = torch.linspace(-1, 1, grid_size + 1, dtype=torch.float64)
    fitted = torch.linalg.lstsq(cox_de_boor(ends, knots, 3), draw * noise / grid_size, driver="gelsd").solution
    theirs = (cox_de_boor(torch.linspace(-0.99, 0.99, 99, dtype=torch.float64), knots, 3) @ fitted).std()
    layer = kan_layers(build(one(f"+preset={preset}", "task.hidden=[128]")).model)[0].double()
    x = torch.linspace(-0.99, 0.99, 99, dtype=torch.float64)
    ours = torch.einsum("pk,oik->poi", cox_de_boor(x, knots, 3), layer.coeff.detach()).std()
    assert float(ours) == pytest.approx(float(theirs) * scale / 8, rel=0.05)  # 64 inputs


def test_parameters_are_counted_as_in_the_table_of_bsrbf_kan():
    counts = {name: sum(num_parameters(build(one(f"+preset={name}", "task.hidden=[64]")).model).values()) for name in PRESETS}
    edges = 64 * 64 + 64 * 10
    assert counts["fast_kan"] == 9 * edges + 2 * (64 + 64) + 64 + 10
    assert counts["efficient_kan"] == 9 * edges
    assert counts["bsrbf_kan"] == 9 * edges + 2 * (64 + 64)
    assert counts["faster_kan"] == 8 * edges + 2 * (64 + 64)
    assert counts["power_mlp"] == 2 * 64 * 64 + 64 + 64 * 10 + 10
    assert counts["mlp_layernorm"] == edges + 2 * (64 + 64) + 64 + 10
