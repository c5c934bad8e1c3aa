import pytest
import torch

from kanzoo.layers import TKANCell
from kanzoo.layers.factory import KANLayers
from kanzoo_bases.chebyshev import Chebyshev


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def test_a_step_equals_the_formulas_written_out():
    hidden, memory, count = 3, 4, 2
    cell = TKANCell(KANLayers(Chebyshev, generator=generator()), 5, hidden, num_layers=count, memory_features=memory).double()
    x, h, c, m = normal(2, 5), normal(2, 3, seed=2), normal(2, 3, seed=3), normal(2, count, memory, seed=4)
    inputs, weight = x @ cell.of_input.weight.T + cell.of_input.bias, cell.of_hidden
    given, memories = [], []
    for layer in range(count):
        begin = 3 * hidden + layer * memory
        seen = inputs[:, begin : begin + memory] + m[:, layer] @ cell.recall[layer].T
        given.append(cell.layers[layer](seen))
        memories.append(m[:, layer] @ cell.keep[layer].T + given[-1] @ cell.write[layer].T)
    gates = [
        inputs[:, part * hidden : (part + 1) * hidden]
        + h @ weight.weight[part * hidden : (part + 1) * hidden].T
        + weight.bias[part * hidden : (part + 1) * hidden]
        for part in range(3)
    ]
    new_c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh()
    new_h = (torch.cat(given, -1) @ cell.output_gate.weight.T + cell.output_gate.bias).sigmoid() * new_c.tanh()
    found = cell(x, (h, c, m))
    for part, expected in zip(found, (new_h, new_c, torch.stack(memories, 1)), strict=True):
        torch.testing.assert_close(part, expected)


def test_memories_reach_the_output_without_the_hidden_state():
    cell = TKANCell(KANLayers(Chebyshev, generator=generator()), 5, 3).double()
    x, (h, c, m) = normal(2, 5), cell.initial(normal(2, 5))
    assert not torch.allclose(cell(x, (h, c, m + 1))[0], cell(x, (h, c, m))[0])


@pytest.mark.parametrize("options", [{"num_layers": 0}, {"memory_features": 0}])
def test_sizes_are_checked(options):
    with pytest.raises(ValueError, match="in_features, hidden_features, num_layers and memory_features must be >= 1"):
        TKANCell(KANLayers(Chebyshev), 5, 3, **options)
