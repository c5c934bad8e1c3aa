"""The product by oneDNN is the product, in float32, with its derivatives."""

import pytest
import torch
from torch.nn import functional as F

from kanzoo.kernels import gemm

needs_onednn = pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="needs oneDNN")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(gemm, "SMALLEST", 0)


@needs_onednn
@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize("shape", [(7, 33), (2, 5, 33)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_is_as_exact_as_torchs(shape: tuple[int, ...], with_bias: bool) -> None:
    tensors = [normal(*shape), normal(20, 33, seed=1), *([normal(20, seed=2)] if with_bias else [])]
    gradient = normal(*shape[:-1], 20, seed=3)

    def evaluate(function, dtype: torch.dtype) -> list[torch.Tensor]:
        leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
        y = function(*leaves)
        return [y.detach(), *torch.autograd.grad(y, leaves, gradient.to(dtype))]

    assert gemm._onednn_serves(tensors[0])
    exact = evaluate(F.linear, torch.float64)
    for ours, true in zip(evaluate(gemm.linear, torch.float32), exact, strict=True):
        torch.testing.assert_close(ours.double(), true, rtol=0, atol=2e-6 * float(true.abs().max()))


@needs_onednn
@pytest.mark.usefixtures("faster")
def test_second_derivatives() -> None:
    x, weight = normal(3, 4).requires_grad_(), normal(5, 4, seed=1).requires_grad_()
    results = []
    for function in (gemm.linear, F.linear):
        (slope,) = torch.autograd.grad(function(x, weight).sin().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(slope.square().sum(), (x, weight)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@needs_onednn
@pytest.mark.usefixtures("faster")
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch.func's own, in torch 2.14
def test_forward_mode_exports_and_other_dtypes_take_torchs_own() -> None:
    x, weight = normal(3, 4), normal(5, 4, seed=1)
    _, tangent = torch.func.jvp(lambda point: gemm.linear(point, weight), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(tangent, F.linear(torch.ones_like(x), weight))
    assert gemm.linear(x.double(), weight.double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert gemm.linear(x, weight).dtype == torch.bfloat16
    assert not gemm._onednn_serves(x.double())


def test_small_products_and_slower_libraries_take_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "_product", None)
    assert gemm.linear(torch.ones(2, 3), torch.ones(4, 3)).shape == (2, 4)
    monkeypatch.setattr(gemm, "onednn_is_faster", lambda: False)
    monkeypatch.setattr(gemm, "SMALLEST", 0)
    assert gemm.linear(torch.ones(2, 3), torch.ones(4, 3)).shape == (2, 4)


@pytest.mark.parametrize("fault", [AttributeError("no such operator"), RuntimeError("not for this machine")])
def test_a_missing_operator_is_not_missed(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        raise fault

    monkeypatch.setattr(gemm, "_onednn", broken)
    assert gemm._chosen.__wrapped__("onednn") is False


def test_a_wrong_product_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "_onednn", lambda x, weight: F.linear(x, weight).bfloat16().float())
    assert gemm._chosen.__wrapped__("onednn") is False


@pytest.mark.parametrize(
    ("capability", "vendor", "wish", "chosen"),
    [
        ("AVX512", "AuthenticAMD", "", True),
        ("AVX512", "AuthenticAMD", "mkl", False),
        ("AVX512", "GenuineIntel", "", False),
        ("AVX2", "AuthenticAMD", "", False),
        ("AVX2", "", "onednn", True),
    ],
)
def test_the_processor_decides(capability: str, vendor: str, wish: str, chosen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(gemm, "_vendor", lambda: vendor)
    monkeypatch.setattr(gemm, "_onednn_is_exact", lambda: True)
    assert gemm._chosen.__wrapped__(wish) is chosen


def test_an_unknown_wish_is_refused() -> None:
    with pytest.raises(ValueError, match="KANZOO_GEMM must be onednn, mkl or empty, got 'blas'"):
        gemm._chosen("blas")


def test_global_settings_and_random_state_are_left_alone() -> None:
    state, precision = torch.get_rng_state(), torch.get_float32_matmul_precision()
    gemm._chosen.__wrapped__("onednn")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_float32_matmul_precision() == precision
