import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer

from kanzoo.config import compose
from kanzoo.errors import InvalidInput
from kanzoo.layers.factory import KANLayers, Layers, PlainLayers
from kanzoo.registry import Plugin
from kanzoo.signature import arguments, class_constant
from kanzoo.task import Optimization
from kanzoo.testing import check_task
from kanzoo_bases.chebyshev import Chebyshev
from kanzoo_tasks.continual import Continual
from kanzoo_tasks.data.experiences import continual_sources, permutations, split_classes

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None
PLUGIN = Plugin("task", "continual", "kanzoo_tasks.continual:Continual", "kanzoo", "0")
DEFAULTS = {name: argument.default for name, argument in arguments(PLUGIN).items()}
SCENARIOS = ["class", "task", "domain", "permuted"]


def prepared(seed: int = 0, layers: Layers | None = None, **changes: object) -> Continual:
    task = Continual(**changes)  # type: ignore[arg-type]
    task.prepare(layers or PlainLayers(generator=torch.Generator().manual_seed(0)), data_dir=DATA, seed=seed)
    return task


def fit(task: Continual, folder: Path, epochs: int = 3) -> None:
    task.optimization = Optimization(lr=1e-2, batch_size=32)
    generator = torch.Generator().manual_seed(0)
    for index, stage in enumerate(task.stages()):
        trainer = Trainer(
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            accelerator="cpu",
            default_root_dir=folder,
        )
        trainer.fit(task, task.train_loader(stage, generator), task.evaluation_loader(task.data.validation))
        task.end_stage(index)


def test_the_schema_is_read_from_the_source() -> None:
    assert class_constant(PLUGIN, "sources") == Continual.sources
    assert class_constant(PLUGIN, "score") == Continual.score == "average_accuracy"
    assert DEFAULTS["scenario"] == "class"


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("strategy", ["naive", "replay", "ewc"])
def test_conformance(scenario: str, strategy: str) -> None:
    if scenario == "class" or strategy == "naive":
        check_task("continual", {"scenario": scenario, "strategy": strategy, "hidden": [8], "num_experiences": 2})


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"num_experiences": 11}, r"task\.num_experiences must be <= 10 for 10 classes with task\.scenario=class, got 11", "Experience 11"),
        ({"num_experiences": 6, "scenario": "task"}, r"<= 5 for 10 classes with task\.scenario=task, got 6", "fewer than two"),
        ({"num_experiences": 6, "scenario": "domain"}, "<= 5 for 10 classes", "Experience 6"),
        ({"class_order": [3, 1, 4]}, "<= 3 for 3 classes", "Experience 4 would have no classes left"),
        ({"class_order": [0, 0, 1, 2, 3]}, "must be different classes from 0 to 9", ""),
        ({"class_order": [0, 1, 2, 3, 10]}, r"0 to 9, got \[0, 1, 2, 3, 10\]", ""),
        ({"class_order": [0, 1, 2, 3, 4], "scenario": "permuted"}, "must have all 10 classes", ""),
    ],
)
def test_an_experience_without_samples_is_refused(changes: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        continual_sources(DEFAULTS | changes, None)
    assert hint in raised.value.hint
    with pytest.raises(InvalidInput, match=message):
        Continual(**changes)  # type: ignore[arg-type]


def test_it_is_refused_before_torch_is_imported() -> None:
    code = (
        "import sys\nfrom kanzoo.config import compose\nfrom kanzoo.errors import InvalidInput\n"
        "try: compose('continual_digits', ['task.num_experiences=11'])\n"
        "except InvalidInput as error: print(error.message, 'torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "task.num_experiences must be <= 10 for 10 classes with task.scenario=class, got 11 False"


def test_a_part_without_samples_of_an_experience_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from kanzoo_tasks.data import image
    from kanzoo_tasks.data.parts import Part, Parts

    whole = image.read("digits", None, 0)
    few = Part(whole.validation.x[whole.validation.y != 4], whole.validation.y[whole.validation.y != 4])
    monkeypatch.setattr(image, "read", lambda *_: Parts(whole.train, few, whole.test))
    with pytest.raises(InvalidInput, match=r"experience 5 of 10 must have samples, got none of the classes \[4\]"):
        Continual(num_experiences=10).load(None, 0)


def test_classes_of_experiences() -> None:
    natural = list(range(10))
    assert split_classes("class", 5, natural, 0) == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert split_classes("domain", 3, natural, 0) == [(0, 1, 2, 3), (4, 5, 6), (7, 8, 9)]
    assert split_classes("permuted", 3, natural, 0) == [tuple(natural)] * 3
    one, again, other = (split_classes("class", 5, None, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert sorted(sum(one, ())) == natural


def test_permutations() -> None:
    one, again, other = (permutations(4, 64, seed) for seed in (1, 1, 2))
    assert one[0].tolist() == list(range(64))
    assert all(sorted(row) == list(range(64)) for row in one.tolist())
    assert len({tuple(row) for row in one.tolist()}) == 4
    assert (one == again).all()
    assert (one != other).any()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_sample_belongs_to_one_experience(scenario: str) -> None:
    task = prepared(scenario=scenario)
    stages = task.stages()
    assert len(stages) == 5
    assert sum(map(len, stages)) == len(task.data.train) == 1258
    assert [set(stage.tensors[2].tolist()) for stage in stages] == [{0}, {1}, {2}, {3}, {4}]
    classes = [set(stage.tensors[1].tolist()) for stage in stages]
    pairs = [{2 * index, 2 * index + 1} for index in range(5)]
    assert classes == {"domain": [{0, 1}] * 5, "permuted": [set(range(10))] * 5}.get(scenario, pairs)
    assert sum(map(len, task.split(task.data.test))) == 359


def test_classes_left_out_are_not_used() -> None:
    task = prepared(class_order=[3, 1, 7, 5], num_experiences=2)
    assert [set(stage.tensors[1].tolist()) for stage in task.stages()] == [{1, 3}, {5, 7}]
    assert set(task.data.test.tensors[1].tolist()) == {1, 3, 5, 7}


def test_pixels_are_permuted() -> None:
    plain, permuted = prepared(scenario="class"), prepared(scenario="permuted")
    x, y, experience = permuted.data.train.tensors
    order = torch.from_numpy(permutations(5, 64, 0))[experience]
    restored = torch.zeros_like(x).scatter_(1, order, x)
    torch.testing.assert_close(restored, plain.data.train.tensors[0], rtol=0, atol=0)
    assert torch.equal(y, plain.data.train.tensors[1])
    assert torch.equal(x[experience == 0], restored[experience == 0])
    assert not torch.equal(x[experience == 1], restored[experience == 1])


def test_the_mask_of_a_known_experience() -> None:
    """Only the classes of its experience can be predicted, and the other logits get no gradient."""
    task = prepared(scenario="task")
    batch = task.data.test.tensors
    loss, logits, y = task.loss(batch)
    assert (logits.isfinite().sum(1) == 2).all()
    assert torch.equal(logits.argmax(1) // 2, batch[2])
    assert torch.equal(y // 2, batch[2])
    stage = task.stages()[1].tensors
    (gradient,) = torch.autograd.grad(task.loss(stage)[0], task.model[-1][1].bias)
    assert gradient.nonzero().flatten().tolist() == [2, 3]
    assert prepared(scenario="class").loss(batch)[1].isfinite().all()
    assert float(loss.detach()) < 2  # of two classes


def test_the_number_of_outputs() -> None:
    assert [prepared(scenario=scenario).num_outputs for scenario in SCENARIOS] == [10, 10, 2, 10]
    assert prepared(scenario="domain", num_experiences=3).num_outputs == 4


@pytest.mark.parametrize("mark", ["naive", "replay"])
def test_groups_tell_classes_apart(mark: str) -> None:
    for scenario, count in [("class", 10), ("domain", 10), ("permuted", 50)]:
        task = prepared(scenario=scenario, strategy=mark)
        assert len(task.groups(task.data.train.tensors).unique()) == count


def test_a_report_needs_all_experiences() -> None:
    task = prepared(num_experiences=2)
    assert len(task.stages()) == len(task.untrained) == 2
    task.end_stage(0)
    assert not task.report().metrics
    task.end_stage(1)
    report = task.report()
    assert set(report.metrics) == {"learning_accuracy", "average_accuracy", "backward_transfer", "forward_transfer", "forgetting"}
    assert set(report.files) == {"accuracy_matrix.csv", "accuracy_matrix.png"}
    assert report.metrics["forgetting"] == 0  # nothing was fitted
    assert report.metrics["average_accuracy"] == pytest.approx(sum(task.untrained) / 2)


def test_a_likely_class_is_drawn_more_often() -> None:
    task = prepared(scenario="task")
    batch, generator = task.data.test[:1], torch.Generator().manual_seed(0)
    probabilities = task.logits(batch).softmax(1)[0].detach()
    drawn = torch.stack([task.log_likelihood(batch, generator).detach().exp() for _ in range(400)])
    allowed = probabilities[probabilities > 0]
    assert all(min((value - allowed).abs()) < 1e-6 for value in drawn)
    expected = float(allowed.square().sum())  # E p(y) with y drawn from p
    assert float(drawn.mean()) == pytest.approx(expected, abs=0.03)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6.6 with torch 2.14
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning: the data are tensors in memory, workers would slow it
def test_strategies_remember(tmp_path: Path) -> None:
    """Naive fitting of one head forgets nearly all, replay much less, and the cumulative bound hardly anything."""
    scores = {}
    for strategy in ("naive", "replay", "cumulative"):
        layers = KANLayers(partial(Chebyshev, degree=3), generator=torch.Generator().manual_seed(0))
        task = prepared(0, layers, strategy=strategy, hidden=[16], memory=100)
        fit(task, tmp_path)
        scores[strategy] = task.report().metrics
    assert scores["naive"]["learning_accuracy"] > 0.9
    assert scores["naive"]["average_accuracy"] < 0.3
    assert scores["naive"]["forgetting"] > 0.8
    assert scores["replay"]["average_accuracy"] > scores["naive"]["average_accuracy"] + 0.3
    assert scores["cumulative"]["average_accuracy"] > 0.85


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")  # Lightning 2.6.6 with torch 2.14
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # Lightning: the data are tensors in memory, workers would slow it
def test_ewc_holds_the_weights(tmp_path: Path) -> None:
    """The stronger the penalty, the less is forgotten and the less is learnt."""
    found = []
    for strength in (0.0, 1e4):
        task = prepared(0, scenario="domain", strategy="ewc", ewc_lambda=strength, hidden=[16])
        fit(task, tmp_path)
        found.append(task.report().metrics)
    assert found[1]["forgetting"] < found[0]["forgetting"] - 0.05
    assert found[1]["learning_accuracy"] <= found[0]["learning_accuracy"]


@pytest.mark.parametrize("name", ["continual_digits", "split_mnist", "permuted_mnist"])
def test_configs_compose(name: str) -> None:
    (cell,) = compose(name)
    assert (cell.task["name"], cell.score, cell.direction) == ("continual", "average_accuracy", "max")


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")
def test_split_mnist() -> None:
    task = prepared(dataset="mnist", hidden=[8])
    assert [set(stage.tensors[1].tolist()) for stage in task.stages()] == [{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}]
    assert sum(map(len, task.stages())) == 55000
    assert len(task.data.test) == 10000
