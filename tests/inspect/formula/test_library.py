import pytest
import sympy as sp
import torch

from kanzoo.inspect.formula.library import EXTENDED, LIBRARY, Candidate, check_library, power


@pytest.mark.parametrize("candidate", EXTENDED, ids=lambda candidate: candidate.name)
def test_torch_and_sympy_agree(candidate: Candidate) -> None:
    z = torch.linspace(-0.9, 0.9, 41, dtype=torch.float64)
    symbol = sp.Symbol("z", real=True)
    values = candidate.function(z)
    defined = values.isfinite()
    assert defined.any()
    expected = [complex(candidate.symbol(symbol).subs(symbol, float(point)).evalf()) for point in z[defined]]
    assert all(abs(value.imag) < 1e-12 for value in expected)
    torch.testing.assert_close(
        values[defined], torch.tensor([value.real for value in expected], dtype=torch.float64), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("candidate", EXTENDED, ids=lambda candidate: candidate.name)
def test_slopes_are_derivatives(candidate: Candidate) -> None:
    z = torch.linspace(0.11, 0.83, 9, dtype=torch.float64)
    z = (z if candidate.function(z).isfinite().all() else -z).requires_grad_()
    assert torch.autograd.gradcheck(candidate.function, (z,))


def test_power_refuses_zero() -> None:
    with pytest.raises(ValueError, match="numerator not 0, got 0/1"):
        power(0)


def test_library_refuses() -> None:
    with pytest.raises(ValueError, match="different names"):
        check_library((LIBRARY[0], LIBRARY[0]))
    with pytest.raises(ValueError, match="one or more candidates"):
        check_library(())
    with pytest.raises(TypeError, match="Candidate objects, got str"):
        check_library(("sin",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="complexity must be >= 0, got -1"):
        Candidate("f", torch.sin, sp.sin, -1)
    with pytest.raises(ValueError, match="grid must have the shape"):
        Candidate("f", torch.sin, sp.sin, 1, torch.zeros(3))
