"""The contraction of local bases equals the dense one, with its derivatives, wherever it runs."""

import itertools
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kanzoo.kernels import compact
from kanzoo.kernels.build import library
from kanzoo.layers.linear import KANLinear
from kanzoo_bases.bspline import BSpline

TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-12}

needs_compiler = pytest.mark.skipif(library() is None, reason="needs a C++ compiler")


def problem(rows: int, size: int, inputs: int, more: int, out: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows + 10 * size + 100 * inputs + 1000 * out)
    first = torch.randint(0, more + 1, (rows, inputs), generator=generator)
    values = torch.randn(rows, size, inputs, generator=generator, dtype=dtype).requires_grad_()
    return first, values, torch.randn(inputs, size + more, out, generator=generator, dtype=dtype).requires_grad_()


@needs_compiler
@pytest.mark.parametrize("dtype", TOLERANCE)
@given(st.integers(1, 300), st.integers(1, 6), st.integers(1, 9), st.integers(0, 12), st.integers(compact.SMALLEST_OUT, 70))
@settings(max_examples=40, deadline=None)
def test_equals_the_dense_product(dtype: torch.dtype, rows: int, size: int, inputs: int, more: int, out: int) -> None:
    first, values, coeff = problem(rows, size, inputs, more, out, dtype)
    y, expected = compact._contract(first, values, coeff), compact.dense(first, values, coeff)
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE[dtype] * max(1, inputs))
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    ours, theirs = (torch.autograd.grad(result, (values, coeff), gradient) for result in (y, expected))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=TOLERANCE[dtype] * max(out, rows))


def test_sums_by_hand() -> None:
    coeff = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    first, values = torch.tensor([[1, 0]]), torch.tensor([[[2.0, 3.0], [5.0, 7.0]]])
    expected = 2 * coeff[0, 1] + 5 * coeff[0, 2] + 3 * coeff[1, 0] + 7 * coeff[1, 1]
    torch.testing.assert_close(compact.contract(first, values, coeff)[0], expected)


@needs_compiler
def test_derivatives_of_derivatives() -> None:
    first, values, coeff = problem(5, 2, 3, 2, 8)
    assert torch.autograd.gradcheck(lambda v, c: compact._contract(first, v, c), (values, coeff))
    assert torch.autograd.gradgradcheck(lambda v, c: compact._contract(first, v, c), (values, coeff))


@needs_compiler
def test_a_wrong_index_stays_inside_the_coefficients() -> None:
    first, values, coeff = problem(4, 2, 3, 2, 8)
    wild = first.clone()
    wild[0, 0], wild[1, 1] = -(2**62), 2**62
    tame = wild.clamp(0, 2)
    assert torch.equal(compact._contract(wild, values, coeff), compact._contract(tame, values, coeff))
    gradient = torch.ones(4, 8, dtype=torch.float64)
    pairs = zip(
        compact._contract_backward(wild, values, coeff, gradient), compact._contract_backward(tame, values, coeff, gradient), strict=True
    )
    assert all(itertools.starmap(torch.equal, pairs))


@needs_compiler
def test_layouts_that_are_not_contiguous() -> None:
    first, values, coeff = problem(6, 3, 4, 2, 9)
    strange = compact._contract(
        first.T.contiguous().T, values.transpose(1, 2).contiguous().transpose(1, 2), coeff.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    )
    assert torch.equal(strange, compact._contract(first, values, coeff))


@needs_compiler
def test_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    first, values, coeff = problem(101, 4, 7, 5, 40, torch.float32)
    gradient = torch.ones(101, 40)
    alone = [compact._contract(first, values, coeff), *compact._contract_backward(first, values, coeff, gradient)]
    monkeypatch.setattr(compact, "_PARALLEL", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    shared = [compact._contract(first, values, coeff), *compact._contract_backward(first, values, coeff, gradient)]
    assert all(map(torch.equal, alone, shared))


def test_an_empty_batch() -> None:
    layer = KANLinear(3, 16, BSpline)
    assert layer(torch.zeros(0, 3)).shape == (0, 16)
    layer(torch.zeros(0, 3)).sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()


def test_without_a_compiler_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = KANLinear(5, 16, partial(BSpline, grid_size=20), generator=torch.Generator().manual_seed(0)).double()
    x = torch.linspace(-1, 1, 35, dtype=torch.float64).view(7, 5)
    fast = layer(x)
    monkeypatch.setattr(compact, "_is_built", lambda *facts: False)
    torch.testing.assert_close(layer(x), fast, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch.func's own, in torch 2.14
def test_small_layers_autocast_and_func_transforms_take_torchs_operators() -> None:
    _, values, coeff = problem(4, 2, 3, 8, compact.SMALLEST_OUT)
    assert compact._kernel_serves(values, coeff) is (library() is not None)
    assert not compact._kernel_serves(values, coeff[:, :5])  # a coarse grid, of few outputs
    assert not compact._kernel_serves(values, coeff[..., :-1])
    assert not compact._kernel_serves(values.bfloat16(), coeff.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert not compact._kernel_serves(values, coeff)
    layer = KANLinear(3, 16, BSpline)
    x = torch.linspace(-0.9, 0.9, 6).view(2, 3)
    _, tangent = torch.func.jvp(layer, (x,), (torch.ones_like(x),))
    step = 1e-3
    torch.testing.assert_close(tangent, (layer(x + step) - layer(x - step)) / (2 * step), rtol=0, atol=1e-3)


def test_not_a_number_stays_in_its_row() -> None:
    layer = KANLinear(3, 16, BSpline)
    x = torch.zeros(4, 3)
    x[2, 1] = torch.nan
    y = layer(x)
    assert y[2].isnan().all()
    assert y[[0, 1, 3]].isfinite().all()
