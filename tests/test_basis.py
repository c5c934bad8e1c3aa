import copy
import pickle

import pytest
import torch

from kanzoo.basis import EdgeBasis
from kanzoo.nested import Nested
from kanzoo.registry import find, plugins
from kanzoo_bases.bspline import BSpline

NAMES = sorted(plugins("basis"))


@pytest.mark.parametrize("name", NAMES)
def test_a_basis_knows_its_constructor_after_copies_and_pickles(name):
    cls = find("basis", name).load()
    resolution = getattr(cls, "resolution", None)
    sizes = {"out_features": 2} if issubclass(cls, EdgeBasis) else {}
    basis = cls(3, **sizes, **({"domain": (-1.0, 2.0)} if sizes else {resolution: 4} if resolution else {}))
    for same in (basis, copy.deepcopy(basis), pickle.loads(pickle.dumps(basis))):
        assert same.constructed_with() == basis.constructed_with()
        other = same.remade(in_features=5)
        assert type(other) is cls
        assert other.constructed_with() == {**basis.constructed_with(), "in_features": 5}
        assert other.in_features == 5


@pytest.mark.parametrize("name", [name for name in NAMES if getattr(find("basis", name).load(), "resolution", None)])
def test_a_refined_basis_has_the_other_arguments(name):
    cls = find("basis", name).load()
    basis = cls(2, **{cls.resolution: 3})
    finer = basis.refined(5)
    before, after = basis.constructed_with(), finer.constructed_with()
    if isinstance(finer, Nested):
        assert (after["finest"], after["coarser"], after["argument"]) == (5, (3,), cls.resolution)
        assert after["family"].keywords == {key: value for key, value in before.items() if key not in ("in_features", cls.resolution)}
    else:
        assert after == {**before, cls.resolution: 5}
    assert finer.num_basis > basis.num_basis
    ends = finer.cell_ends()
    assert ends.shape[0] == 2
    assert (ends.diff(dim=1) > 0).all()
    assert tuple(ends[0, [0, -1]].tolist()) == pytest.approx(basis.domain)


def test_a_basis_may_be_named_by_position():
    class Positional(BSpline):
        def __init__(self, in_features, degree=2):
            super().__init__(in_features, degree=degree)

    basis = Positional(3, 1)
    assert basis.constructed_with() == {"in_features": 3, "degree": 1}
    assert basis.remade(degree=4).degree == 4


def test_unknown_arguments_are_refused_as_ever():
    with pytest.raises(TypeError, match="unexpected keyword argument 'knot_count'"):
        BSpline(2, knot_count=3)


def test_global_random_state_stays():
    class Random(BSpline):
        def __init__(self, in_features, *, grid_size=3):
            super().__init__(in_features, grid_size=grid_size)
            self.draw = torch.rand(3)

    basis = Random(2)
    state = torch.get_rng_state()
    basis.refined(6)
    assert torch.equal(torch.get_rng_state(), state)
