import pytest
import torch
from torch import nn

from kanzoo.inspect import Select
from kanzoo.inspect.stack import dense_stack
from kanzoo.layers import KANLinear
from kanzoo.models import KAN
from kanzoo_bases.chebyshev import Chebyshev


def test_select_keeps_columns_of_dense_and_sparse_inputs():
    x = torch.arange(12.0).view(2, 2, 3)
    select = Select([0, 2], 3)
    assert torch.equal(select(x), x[..., [0, 2]])
    assert torch.equal(select(x[0].to_sparse()).to_dense(), x[0][:, [0, 2]])
    assert torch.equal(nn.Sequential(select).state_dict()["0.index"], torch.tensor([0, 2]))


@pytest.mark.parametrize("index", [[], [2, 0], [0, 0], [-1, 1], [0, 3]])
def test_select_refuses(index):
    with pytest.raises(ValueError, match=r"index must be one or more rising integers in 0 ... 2, got"):
        Select(index, 3)


def test_stack_with_and_without_a_selection():
    net = KAN([3, 4, 2], Chebyshev)
    stack = dense_stack(net)
    assert (stack.widths, stack.in_features, stack.select) == ((3, 4, 2), 3, None)
    stack = dense_stack(nn.Sequential(Select([1, 2, 5], 7), *net))
    assert (stack.widths, stack.in_features) == ((3, 4, 2), 7)
    assert stack.all_inputs(torch.ones(3)).tolist() == [0, 1, 1, 0, 0, 1, 0]


def test_a_layer_that_is_there_twice_is_refused():
    layer = KANLinear(2, 2, Chebyshev)
    with pytest.raises(ValueError, match="each there once, got KANLinear, KANLinear"):
        dense_stack(nn.Sequential(layer, layer))
