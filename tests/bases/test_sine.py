"""SineKAN's sines against their formula in numpy."""

import numpy as np
import pytest
import torch

from kanzoo_bases.sine import Sine


def phases(grid_size, in_features):
    """The paper's phases, grown step by step from one grid size to the next: `(K, in_features)`."""
    phase = (np.arange(1, grid_size + 1) / (grid_size + 1))[:, None] + np.linspace(0, np.pi, in_features)
    for size in range(1, grid_size):
        phase = phase * (0.9724108095811765 * size**-0.9884401790754128 + 0.999449553483052)
    return phase


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-6)])
@pytest.mark.parametrize(("grid_size", "in_features"), [(1, 1), (8, 3), (8, 64), (20, 5)])
def test_equals_numpy(grid_size, in_features, dtype, tolerance):
    x = torch.linspace(-torch.pi, torch.pi, 201, dtype=dtype).unsqueeze(-1).expand(-1, in_features)
    frequency = np.arange(1, grid_size + 1) / (grid_size + 1)
    expected = np.sin(x.double().numpy()[..., None] * frequency + phases(grid_size, in_features).T)
    np.testing.assert_allclose(Sine(in_features, grid_size=grid_size)(x).detach().double().numpy(), expected, rtol=0, atol=tolerance)


def test_whole_frequencies_are_those_of_a_first_layer():
    assert Sine(2, grid_size=3, start="whole").frequency.tolist() == [1.0, 2.0, 3.0]
    assert torch.equal(Sine(2, start="whole").phase, Sine(2).phase)


def test_frequencies_are_learnt_and_phases_are_not():
    basis = Sine(3)
    assert {name: tuple(parameter.shape) for name, parameter in basis.named_parameters()} == {"frequency": (8,)}
    assert {name: tuple(buffer.shape) for name, buffer in basis.named_buffers()} == {"phase": (8, 3)}


def test_gradients_to_inputs_and_frequencies():
    basis = Sine(2, grid_size=3).double()
    x = torch.tensor([[-3.1, 0.3], [0.0, 2.0]], dtype=torch.float64, requires_grad=True)

    def values(x, frequency):
        return torch.func.functional_call(basis, {"frequency": frequency}, (x,))

    inputs = (x, basis.frequency.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(values, inputs)
    assert torch.autograd.gradgradcheck(values, inputs)


def test_a_finer_one_begins_with_the_learnt_sines():
    basis, x = Sine(2, grid_size=3).double(), torch.linspace(-3, 3, 20, dtype=torch.float64).view(10, 2)
    with torch.no_grad():
        basis.frequency += torch.tensor([0.1, -0.2, 0.7])
    finer = basis.refined(7)
    assert torch.equal(finer(x)[..., :3], basis(x))
    assert torch.equal(finer.frequency[3:], Sine(2, grid_size=7).frequency[3:].double())


def test_wild_frequencies_give_no_nan():
    basis, x = Sine(2), torch.tensor([[-3.0, 3.0]], requires_grad=True)
    with torch.no_grad():
        basis.frequency.fill_(1e30)
    basis(x).sum().backward()
    assert basis(x).isfinite().all()
    assert basis.frequency.grad.isfinite().all()
    assert x.grad.isfinite().all()


def test_refuses_no_sine():
    with pytest.raises(ValueError, match="grid_size must be >= 1, got 0"):
        Sine(1, grid_size=0)
    with pytest.raises(ValueError, match="start must be one of fractions, whole, got 'half'"):
        Sine(1, start="half")
