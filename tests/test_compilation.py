"""Compiled networks compute what the network computes, and step aside where they cannot."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from kanzoo.basis import BasisFactory
from kanzoo.compilation import Compiled, compile, gradients
from kanzoo.models import KAN
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.wav_kan import WavKAN


def network(basis: BasisFactory = Chebyshev) -> KAN:
    return KAN([3, 16, 2], basis, generator=torch.Generator().manual_seed(0))


def inputs(rows: int = 8) -> torch.Tensor:
    return torch.linspace(-0.9, 0.9, 3 * rows).view(rows, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("basis", [BSpline, Chebyshev, WavKAN])
def test_equals_the_network(basis: BasisFactory) -> None:
    net = network(basis)
    fast = compile(net, dynamic=True)
    for rows in (8, 5):
        ours, theirs = fast(inputs(rows)), net(inputs(rows))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
        gradients = [torch.autograd.grad(y.square().sum(), net.parameters()) for y in (ours, theirs)]
        for mine, other in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert list(fast.parameters()) == list(net.parameters())
    if basis is BSpline:
        net.update_grid(torch.randn(200, 3, generator=torch.Generator().manual_seed(1)))  # the knots move: it is compiled anew
        torch.testing.assert_close(fast(inputs()), net(inputs()), rtol=0, atol=1e-5)


def test_derivatives_of_derivatives_take_the_network_itself() -> None:
    fast = compile(network())
    x = inputs().requires_grad_()
    with pytest.warns(UserWarning, match="leaf inputs that need a gradient are served without compilation"):
        y = fast(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert x.grad is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(x)  # told once


def broken(function: object, **options: object) -> object:
    def call(*inputs: object) -> torch.Tensor:
        raise torch._dynamo.exc.BackendCompilerFailed(lambda: None, RuntimeError("no g++"), None)

    return call


def test_without_a_compiler_it_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", broken)
    net = network()
    fast = compile(net)
    with pytest.warns(UserWarning, match="could not be compiled and runs without"):
        first = fast(inputs())
    assert torch.equal(first, net(inputs()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(fast(inputs()), first)


def test_copies_hold_the_network_and_compile_for_themselves() -> None:
    fast = compile(network())
    fast._function = lambda *inputs: None  # what deepcopy and pickle cannot take
    for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert isinstance(twin, Compiled)
        assert twin._function is None
        assert torch.equal(twin.model(inputs()), fast.model(inputs()))


def test_each_network_has_code_of_its_own() -> None:
    from kanzoo.compilation import _own_code

    one, two = _own_code(network()), _own_code(network())
    assert one.__code__ is not two.__code__
    assert torch.equal(one(inputs()), two(inputs()))


def mean_square(net: Compiled, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (net(x) - y).square().mean()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("basis", [BSpline, Chebyshev, WavKAN])
def test_compiled_gradients_equal_those_of_backward(basis: BasisFactory) -> None:
    net, y = network(basis), torch.ones(8, 2)
    net[0].residual_weight.requires_grad_(False)
    step = gradients(net, mean_square)
    value = step(inputs(), y)
    found = {name: item.grad for name, item in net.named_parameters()}
    net.zero_grad()
    loss = mean_square(net, inputs(), y)
    loss.backward()
    torch.testing.assert_close(value, loss.detach())
    assert not value.requires_grad
    for name, item in net.named_parameters():
        if item.requires_grad:
            torch.testing.assert_close(found[name], item.grad, rtol=1e-4, atol=1e-6)
        else:
            assert found[name] is None


def test_gradients_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", broken)
    net, y = network(), torch.ones(8, 2)
    step = gradients(net, mean_square)
    with pytest.warns(UserWarning, match="could not be compiled and runs without"):
        value = step(inputs(), y)
    ours = [item.grad for item in net.parameters()]
    loss = mean_square(net, inputs(), y)
    assert torch.equal(value, loss)
    for mine, theirs in zip(ours, torch.autograd.grad(loss, net.parameters()), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
def test_a_machine_without_a_compiler(tmp_path: Path) -> None:
    code = (
        "import torch\nfrom kanzoo.compilation import compile\nfrom torch import nn\n"
        "net = nn.Sequential(nn.Linear(3, 2), nn.Tanh())\nprint(torch.equal(compile(net)(torch.ones(4, 3)), net(torch.ones(4, 3))))"
    )
    environment = os.environ | {"CXX": "/nowhere/g++", "PATH": "/nowhere", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["True"]
    assert "could not be compiled and runs without" in done.stderr
