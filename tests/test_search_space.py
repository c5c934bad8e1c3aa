"""What is tuned of a cell: a pure function of its config, the same rule for every model."""

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from kanzoo.cell import Cell
from kanzoo.config import compose
from kanzoo.registry import plugins
from kanzoo.search_space import space, start, with_values
from kanzoo.section import plugin_section

TRAINER = {"trainer.lr", "trainer.weight_decay"}
KAN = {"model.width", "model.squash", "model.residual"}


def cell_of(*overrides: str, config: str = "digits_dense") -> Cell:
    (cell,) = compose(config, ["tuner.trials=8", *overrides])
    return cell


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [
        (["basis.name=bspline"], TRAINER | KAN | {"basis.grid_size"}),
        (["basis.name=chebyshev"], TRAINER | KAN | {"basis.degree"}),
        (["basis.name=skan"], TRAINER | KAN | {"basis.kind"}),
        (["basis.name=sine"], TRAINER | KAN | {"basis.grid_size", "basis.start"}),
        (["basis.name=bspline", "trainer.optimizer=adam"], (TRAINER | KAN | {"basis.grid_size"}) - {"trainer.weight_decay"}),
        (["basis.name=bspline", "model.parameters=5000"], (TRAINER | KAN | {"basis.grid_size"}) - {"model.width"}),
        (["basis.name=bspline", "trainer.refine={every: 1, to: [9]}"], TRAINER | KAN),
        (["basis.name=bspline", "tuner.space=trainer"], TRAINER),
        (["model.name=baseline"], TRAINER | {"model.width", "model.norm"}),
        (["model.name=siren"], TRAINER | {"model.width", "model.norm", "model.omega"}),
        (["model.name=power_mlp"], TRAINER | {"model.width", "model.norm"}),
        (["model.name=fourier_features"], TRAINER | {"model.width", "model.norm", "model.sigma"}),
        (["model.name=learnable_activation"], TRAINER | {"model.width", "model.norm", "model.squash", "basis.grid_size"}),
        (["+preset=fast_kan"], TRAINER),
        (["+preset=fast_kan", "tuner.space=all"], TRAINER | KAN | {"basis.grid_size"}),
    ],
)
def test_keys_follow_from_the_config_alone(overrides, keys):
    assert space(cell_of(*overrides)).keys() == keys == start(cell_of(*overrides)).keys()
    assert space(cell_of(*overrides, "seed=5")) == space(cell_of(*overrides))


def test_ranges_lie_around_the_config():
    found = space(cell_of("basis.name=bspline", "basis.grid_size=7", "trainer.lr=0.02", "model.width=3", "model.squash=clamp"))
    assert found["trainer.lr"] == FloatDistribution(0.02 / 10, 0.02 * 10, log=True)
    assert found["basis.grid_size"] == IntDistribution(4, 28, log=True)
    assert found["model.width"] == CategoricalDistribution([1.5, 3.0, 6.0])
    assert found["model.squash"] == CategoricalDistribution(["tanh", "layernorm", "clamp"])
    assert space(cell_of("basis.name=wavelet", "basis.levels=3"))["basis.levels"] == IntDistribution(2, 5)
    assert space(cell_of("basis.name=skan"))["basis.kind"] == CategoricalDistribution(["softplus", "swish", "sin", "arctan"])


def test_a_rule_cuts_the_resolution():
    assert space(cell_of("basis.name=gaussian_rbf", "basis.grid_size=2"))["basis.grid_size"] == IntDistribution(2, 8, log=True)
    assert space(cell_of("basis.name=chebyshev", "basis.degree=1"))["basis.degree"] == IntDistribution(1, 4, log=True)
    assert space(cell_of("basis.name=wavelet", "basis.levels=1"))["basis.levels"] == IntDistribution(1, 3)


@pytest.mark.parametrize("name", sorted(plugins("basis")))
def test_every_basis_has_a_space_that_holds_the_config_and_allowed_values(name):
    cell = cell_of(f"basis.name={name}")
    found, first = space(cell), start(cell)
    for key, distribution in found.items():
        assert distribution._contains(distribution.to_internal_repr(first[key])), key
        ends = distribution.choices if isinstance(distribution, CategoricalDistribution) else (distribution.low, distribution.high)
        for value in ends:
            if key.startswith("basis."):
                plugin_section("basis", cell.basis | {key.removeprefix("basis."): value})


def test_values_go_into_their_sections_and_nowhere_else():
    cell = cell_of("basis.name=bspline", "seed=3")
    other = with_values(cell, {"trainer.lr": 0.5, "basis.grid_size": 9, "model.squash": "tanh"}, seed=4)
    assert (other.trainer["lr"], other.basis["grid_size"], other.model["squash"], other.seed, other.tuner) == (0.5, 9, "tanh", 4, {})
    assert (cell.trainer["lr"], cell.basis["grid_size"], cell.model["squash"]) == (0.002, 5, "layernorm")
    assert with_values(cell, start(cell), 3).resolved() == {key: value for key, value in cell.resolved().items() if key != "tuner"}


def test_the_space_of_a_preset_is_part_of_the_identity_and_of_the_record(tmp_path: Path):
    preset, whole = cell_of("+preset=fast_kan"), cell_of("+preset=fast_kan", "tuner.space=all")
    assert preset.tuner == {"trials": 8, "space": "trainer"}
    assert preset.model_key != whole.model_key
    assert (preset.model_label, whole.model_label) == ("fast_kan", "fast_kan(space=all)")
    file = tmp_path / "recorded.yaml"
    file.write_text(preset.to_yaml(), encoding="utf-8")
    (again,) = compose(str(file))
    assert (again.config_hash, space(again)) == (preset.config_hash, space(preset))
