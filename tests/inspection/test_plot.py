"""Pictures of a recorded run through the command line: what is drawn, where it lies, and what is told of what is not."""

from pathlib import Path
from typing import Any

import pytest
import torch

from kanzoo.inspect import attribution
from kanzoo.inspect.plot import diagram, page
from kanzoo.inspect.plot.network import network
from kanzoo.models import KAN
from kanzoo_bases.chebyshev import Chebyshev

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates: https://github.com/sqlalchemy/sqlalchemy/issues/11045
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

PNG = b"\x89PNG"


def test_all_pictures_of_a_dense_network(recorded: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    out, run = recorded.inspect(recorded.kan.run_id, "plot", "--out", str(folder))
    names = {"diagram.png", "diagram.svg", "gallery-0.png", "gallery-1.png", "page.html"}
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        assert str(folder / name) in out.replace("\n", "")
        assert recorded.artifact(run.info.run_id, name, tmp_path) == (folder / name).read_bytes()
    assert all((folder / name).read_bytes().startswith(PNG) for name in names if name.endswith("png"))
    assert (folder / "diagram.svg").read_text().count('id="edge-') == 9
    text = (folder / "page.html").read_text()
    assert "x1 → h1.1" in text
    assert recorded.kan.model in text


@pytest.mark.slow
def test_a_convolution_has_galleries_and_a_word_on_the_rest(recorded: Any, tmp_path: Path) -> None:
    row = recorded.other("digits_conv", "task.channels=[2]", "basis.name=chebyshev", "basis.degree=2")
    out, _ = recorded.inspect(row.run_id, "plot", "--out", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"gallery-0.png", "gallery-4.png"}
    assert "No diagram and no page: model must be a stack of KANLinear, each there once, got KANConv2d" in out


@pytest.mark.slow
@pytest.mark.parametrize("config", ["karate", "mutag", "cycles"])
def test_a_network_on_graphs_has_galleries(recorded: Any, tmp_path: Path, config: str) -> None:
    row = recorded.other(config, "task.hidden=[4]", "basis.name=chebyshev", "basis.degree=2")
    out, _ = recorded.inspect(row.run_id, "plot", "--out", str(tmp_path))
    assert all(path.name.startswith("gallery-") and path.read_bytes().startswith(PNG) for path in tmp_path.iterdir())
    assert "No diagram and no page: model must be a stack of KANLinear" in out


@pytest.mark.slow
def test_layernorm_is_refused_by_name(recorded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    row = recorded.other("digits_dense", "task.hidden=[3]", "basis.name=chebyshev", "basis.degree=2")
    error = recorded.refused(capsys, row.run_id, "plot")
    assert "a layer must have a squash that is elementwise, got 'layernorm' in '0', '1'" in error


def test_a_file_is_no_folder(recorded: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert "--out must be a folder" in recorded.refused(capsys, recorded.kan.run_id, "plot", "--out", str(tmp_path / "x"))


def wide() -> tuple[KAN, torch.Tensor]:
    net = KAN([30, 12, 4], Chebyshev, generator=torch.Generator().manual_seed(0))
    return net, torch.randn(60, 30, generator=torch.Generator().manual_seed(1))


def test_of_a_wide_network_the_strongest_edges_are_shown() -> None:
    net, x = wide()
    shown, scores = network(net, x, most=6), attribution(net, x).edges
    last = [edge for edge in shown.edges if edge.key[0] == 1]
    assert sorted(edge.score for edge in last) == pytest.approx(sorted(scores[1].flatten().tolist())[-6:], rel=1e-6)
    hidden = {edge.key[2] for edge in last}
    first = [edge for edge in shown.edges if edge.key[0] == 0]
    allowed = scores[0][sorted(hidden)].flatten().tolist()
    assert sorted(edge.score for edge in first) == pytest.approx(sorted(allowed)[-6:], rel=1e-6)
    assert {edge.key[1] for edge in first} <= hidden
    for edge in shown.edges:  # names are those of the whole network
        layer, target, source = edge.key
        assert shown.nodes[edge.source].name == (f"x{source + 1}" if layer == 0 else f"h1.{source + 1}")
        assert shown.nodes[edge.target].name == (f"h1.{target + 1}" if layer == 0 else f"y{target + 1}")
    assert shown.note == "Only the strongest edges are drawn, 12 of 408."
    assert len([node for node in shown.nodes if node.level == 2]) == 4
    assert shown.note in page(net, x, most=6)
    assert shown.note in [text.get_text() for text in diagram(net, x, most=6).axes[0].texts]


def test_where_all_edges_are_shown_nothing_changes() -> None:
    net, x = KAN([2, 3, 1], Chebyshev, generator=torch.Generator().manual_seed(0)), torch.rand(20, 2)
    assert network(net, x, most=6) == network(net, x)
    assert not network(net, x).note


def test_too_many_and_too_few_are_refused() -> None:
    net, x = wide()
    with pytest.raises(ValueError, match="most=24, or show one layer with gallery, got 408"):
        network(net, x)
    with pytest.raises(ValueError, match="most must be >= 1, got 0"):
        network(net, x, most=0)
