import pytest
import torch

from kanzoo.inspect.formula.mult import Affine, Multiply


def test_products_of_groups() -> None:
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Multiply([[0, 2], [1], [3]])(x), torch.stack([x[..., 0] * x[..., 2], x[..., 1], x[..., 3]], -1))


@pytest.mark.parametrize("groups", [[], [[]], [[0, 0]], [[0], [2]], [[0, 1], [1]]])
def test_positions_must_be_there_once(groups: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="each of the positions"):
        Multiply(groups)


def test_affine_changes_units() -> None:
    assert Affine(torch.tensor([1.0]), torch.tensor([2.0]))(torch.tensor([[5.0]])).item() == 2.0
    with pytest.raises(ValueError, match="no scale may be 0"):
        Affine(torch.zeros(1), torch.zeros(1))
