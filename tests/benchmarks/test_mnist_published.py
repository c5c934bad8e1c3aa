"""The page of the published table is made from rows, and the variants are what they are called."""

from types import SimpleNamespace

import torch
from torch import Generator
from torch.utils.data import TensorDataset

from benchmarks import mnist_published
from kanzoo import construction
from kanzoo.config import compose
from kanzoo.layers import KANLinear


def test_the_page_is_what_the_rows_render_to() -> None:
    assert mnist_published.PAGE.read_text() == mnist_published.render(), "run `python -m benchmarks.mnist_published`"


def test_every_line_of_the_table_is_a_preset_of_the_benchmark() -> None:
    rows = mnist_published.read_csv(mnist_published.RESULTS)
    assert {one.preset for one in mnist_published.TABLE} <= {row.model for row in rows}
    assert all(row.epochs == 25 for row in rows)


def test_products_are_the_functions_of_one_weight_with_the_parameters_of_the_original() -> None:
    (cell,) = compose("digits_dense", ["+preset=efficient_kan", "task.hidden=[5]"])
    task = construction.build(cell)
    before = [layer.weight.shape for layer in task.model.modules() if isinstance(layer, KANLinear)]
    mnist_published.with_products(task, Generator().manual_seed(0))
    layers = [layer for layer in task.model.modules() if isinstance(layer, KANLinear)]
    assert [layer.weight.shape for layer in layers] == before
    edges = 64 * 5 + 5 * 10
    assert sum(parameter.numel() for parameter in task.model.parameters()) == edges * (8 + 1 + 1)  # functions, scaler, SiLU
    layer = layers[0]
    weight, scaler = layer.parametrizations.weight.original, layer.parametrizations.weight[0].scaler
    expected = weight.detach().view(5, 8, 64) * scaler.detach()[:, None]
    torch.testing.assert_close(layer.coeff, expected.transpose(1, 2))
    assert scaler.abs().max() <= 64**-0.5
    x = torch.linspace(-1, 1, 6)[:, None].expand(-1, 64)
    unscaled = layer.expansion.basis(x)[:, 0] @ weight.detach().view(5, 8, 64).transpose(0, 1).reshape(8, -1)
    assert unscaled.abs().max() <= 0.0101, "splines through noise of at most 0.01 at the knots"


def test_images_come_in_one_order() -> None:
    task = SimpleNamespace(optimization=SimpleNamespace(batch_size=4))
    mnist_published.in_one_order(task, Generator())
    stage = TensorDataset(torch.arange(10))
    for epoch in range(2):
        batches = [batch[0].tolist() for batch in task.train_loader(stage, Generator().manual_seed(epoch))]
        assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
