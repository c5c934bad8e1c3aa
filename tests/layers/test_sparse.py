import time

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from kanzoo.basis import BasisFactory
from kanzoo.layers import KANLinear
from kanzoo.layers.factory import PlainLayers
from kanzoo.layers.sparse import distinct_values, dropout, sample_rows
from kanzoo_bases.bspline import BSpline
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_bases.fourier import Fourier
from kanzoo_bases.gaussian_rbf import GaussianRBF
from kanzoo_bases.jacobi import Jacobi
from kanzoo_bases.wav_kan import WavKAN
from kanzoo_bases.wavelet import Wavelet

BASES = [BSpline, GaussianRBF, Chebyshev, Jacobi, Fourier, Wavelet, WavKAN]


def bag(rows: int = 60, features: int = 20, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return counts of words divided by their sum; some rows and columns are empty."""
    generator = Generator().manual_seed(seed)
    x = (torch.rand(rows, features, generator=generator) < 0.15).to(dtype)
    x[:3], x[:, :2] = 0, 0
    return x / x.sum(1, keepdim=True).clamp_min(1)


def layer(basis: BasisFactory, dtype: torch.dtype = torch.float64, **options: object) -> KANLinear:
    made = KANLinear(20, 5, basis, generator=Generator().manual_seed(0), **options)  # type: ignore[arg-type]
    with torch.no_grad():
        if made.bias is not None:
            made.bias.copy_(torch.arange(5.0))
    return made.to(dtype)


def gradients(made: KANLinear, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    made.zero_grad()
    y = made(x)
    (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return y.detach(), {name: parameter.grad.clone() for name, parameter in made.named_parameters() if parameter.grad is not None}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")  # torch says so of every CSR matrix
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    "options", [{}, {"residual": "none", "bias": False, "squash": "clamp"}, {"residual": "identity", "squash": "none"}]
)
def test_equals_the_dense_layer(basis: BasisFactory, dtype: torch.dtype, tolerance: float, options: dict[str, object]) -> None:
    made, x = layer(basis, dtype, **options), bag(dtype=dtype)
    dense, dense_gradients = gradients(made, x)
    for sparse in (x.to_sparse(), x.to_sparse_csr() if dtype is torch.float64 else x.to_sparse()):
        y, found = gradients(made, sparse)
        torch.testing.assert_close(y, dense, rtol=tolerance, atol=tolerance)
        assert found.keys() == dense_gradients.keys()
        for name, gradient in found.items():
            scale = float(dense_gradients[name].abs().max())
            torch.testing.assert_close(gradient, dense_gradients[name], rtol=tolerance, atol=tolerance * max(1.0, scale), msg=name)


def test_grids_of_each_input_and_negative_values() -> None:
    made, x = layer(BSpline), bag() * torch.randint(-2, 3, (60, 20), generator=Generator().manual_seed(1))
    made.update_grid(torch.randn(200, 20, generator=Generator().manual_seed(2), dtype=torch.float64) * torch.linspace(0.1, 1, 20))
    torch.testing.assert_close(made(x.to_sparse()), made(x), rtol=1e-12, atol=1e-12)


def test_update_grid() -> None:
    made, again, x = layer(BSpline), layer(BSpline), bag()
    made.update_grid(x.to_sparse())
    again.update_grid(x)
    for one, two in zip(made.state_dict().values(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two)


def test_update_grid_looks_at_a_sample_of_many_rows() -> None:
    x = torch.arange(3000.0)[:, None].to_sparse()
    sample = sample_rows(x, 1024)
    assert sample.shape == (1024, 1)
    assert (sample[0], sample[-1]) == (0, 2999)
    assert torch.equal(sample_rows(x, 5000), x.to_dense())


def test_falls_back_to_the_dense_layer() -> None:
    many = torch.randn(10, 20, dtype=torch.float64)
    assert distinct_values(many.to_sparse()) is None
    made = layer(Chebyshev)
    assert torch.equal(made(many.to_sparse()), made(many))
    normed = layer(Chebyshev, squash="layernorm")
    assert torch.equal(normed(bag().to_sparse()), normed(bag()))
    with pytest.raises(ValueError, match="edge_functions must have a squash that is elementwise, got 'layernorm'"):
        normed.edge_functions(torch.zeros(1, dtype=torch.float64))
    wanted = bag().to_sparse().requires_grad_()
    made(wanted).sum().backward()
    dense = bag().requires_grad_()
    made(dense).sum().backward()
    assert wanted.grad is not None
    assert dense.grad is not None
    torch.testing.assert_close(wanted.grad.to_dense(), dense.grad * (bag() != 0), rtol=1e-12, atol=1e-12)


def test_empty_and_stored_zeros() -> None:
    made = layer(Chebyshev)
    nothing = torch.zeros(7, 20, dtype=torch.float64)
    torch.testing.assert_close(made(nothing.to_sparse()), made(nothing), rtol=1e-12, atol=1e-12)
    stored = torch.sparse_coo_tensor(
        torch.tensor([[0, 1, 1], [2, 3, 3]]), torch.tensor([0.0, 1.0, 2.0]).double(), (7, 20), check_invariants=True
    )
    torch.testing.assert_close(made(stored), made(stored.to_dense()), rtol=1e-12, atol=1e-12)
    found = distinct_values(stored)
    assert found is not None
    assert found.values.tolist() == [3.0]


def test_only_a_matrix_may_be_sparse() -> None:
    with pytest.raises(ValueError, match=r"sparse x must be a matrix \(N, in_features\), got shape \(2, 3, 20\)"):
        layer(Chebyshev)(torch.zeros(2, 3, 20, dtype=torch.float64).to_sparse())


def test_edge_functions_add_up() -> None:
    for basis in BASES:
        made, points = layer(basis), torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)
        assert made.bias is not None
        expected = made(points[:, None].expand(-1, 20)) - made.bias
        torch.testing.assert_close(made.edge_functions(points).sum(1), expected, rtol=1e-12, atol=1e-12)


def test_plain_layers_take_sparse_inputs() -> None:
    plain = PlainLayers(generator=Generator()).linear(20, 5, first=True)
    x = bag(dtype=torch.float32)
    torch.testing.assert_close(plain(x.to_sparse()), plain(x))


def test_dropout() -> None:
    x = bag().to_sparse()
    assert dropout(x, 0.5, training=False) is x
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        values = dropout(torch.ones(300, 300).to_sparse(), 0.25, training=True).to_dense()
        assert values.unique().tolist() == pytest.approx([0, 4 / 3])
        assert float(values.mean()) == pytest.approx(1, abs=0.01)
        torch.manual_seed(1)
        dense = dropout(x.to_dense(), 0.5, training=True)
        torch.manual_seed(1)
        assert torch.equal(dense, F.dropout(x.to_dense(), 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("basis", [Chebyshev, BSpline, WavKAN])
def test_cost_on_the_shape_of_cora(basis: BasisFactory) -> None:
    """Run with -s for the figures: time of a step, and what autograd keeps for it, dense over sparse."""
    generator = Generator().manual_seed(0)
    x = (torch.rand(2708, 1433, generator=generator) < 0.0127).float()
    x = x / x.sum(1, keepdim=True).clamp_min(1)
    made = KANLinear(1433, 16, basis, generator=generator)

    def cost(x: Tensor) -> tuple[float, int]:
        sizes: dict[int, int] = {}

        def keep(saved: Tensor) -> Tensor:
            sizes[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
            return saved

        times = []
        for _ in range(2):
            begin = time.perf_counter()
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
                made(x).square().sum().backward()
            times.append(time.perf_counter() - begin)
        return min(times), sum(sizes.values())

    (dense_time, dense_memory), (sparse_time, sparse_memory) = cost(x), cost(x.to_sparse())
    print(f"\n{basis.__name__}: step {1e3 * dense_time:.0f} / {1e3 * sparse_time:.0f} ms = {dense_time / sparse_time:.0f}, ", end="")  # type: ignore[union-attr]
    print(f"kept for the gradient {dense_memory / 2**20:.0f} / {sparse_memory / 2**20:.0f} MiB = {dense_memory / sparse_memory:.0f}")
    assert sparse_time < dense_time / 5
    assert sparse_memory < dense_memory / 5
