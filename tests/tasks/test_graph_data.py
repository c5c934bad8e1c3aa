import hashlib
import os
import pickle
import shutil
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from urllib.error import URLError

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

import kanzoo.layers.graph  # noqa: F401  imports PyG without its warnings
from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import planetoid, synthetic_graph, tu
from kanzoo_tasks.data.graph import Graphs, check, fold, pack
from kanzoo_tasks.data.graph_sources import graph_sources, read

DATA = Path(os.environ["KANZOO_DATA"]) if "KANZOO_DATA" in os.environ else None
needs_data = pytest.mark.skipif(DATA is None, reason="needs KANZOO_DATA")
ARGUMENTS = {"network": "gcn", "hidden": [16], "heads": 1}


def two() -> Graphs:
    """Return an edge and a lonely node, of classes 0 and 1."""
    return pack([[3, 7], [3]], [np.array([[0, 1], [1, 0]]), np.zeros((2, 0), dtype=int)], np.array([0, 1]))


def as_networkx(graphs: Graphs, number: int, order: list[int] | None = None) -> nx.Graph:
    nodes = slice(*graphs.first_node[number : number + 2])
    made = nx.Graph()
    tags = graphs.x[nodes].argmax(1)
    made.add_nodes_from((node, {"tag": str(tag if order is None else order[tag])}) for node, tag in enumerate(tags))
    made.add_edges_from(graphs.edges[:, slice(*graphs.first_edge[number : number + 2])].T.tolist())
    return made


def test_packed_graphs_pass_their_checks() -> None:
    graphs = check(two(), "made")
    assert len(graphs) == 2
    assert graphs.x.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert graphs.first_node.tolist() == [0, 2, 3]
    assert graphs.first_edge.tolist() == [0, 2, 2]
    assert graphs.digest() == two().digest() != replace(graphs, y=np.array([1, 0])).digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.array([[1.0], [np.nan], [0.0]])}, r"task\.dataset 'made' must have finite features, got nan in row 1"),
        ({"y": np.array([0.0, np.inf])}, "must have finite targets, got inf in row 1"),
        ({"y": np.array([1, 1])}, r"must have two classes or more, got \[1\] alone"),
        ({"y": np.array([0.5, 0.5])}, "must have two target values or more"),
        ({"edges": np.array([[0, 1], [1, 2]])}, r"must have edges between its nodes 0 to 1 in graph 0, got \[1, 2\]"),
        ({"edges": np.array([[0, -1], [1, 0]])}, "between its nodes"),
        ({"first_node": np.array([0, 3, 3]), "first_edge": np.array([0, 2, 2])}, "graphs of one node or more, got none in graph 1"),
        ({"first_node": np.array([0]), "first_edge": np.array([0])}, "must have graphs of one node or more, got no graph"),
    ],
)
def test_graphs_that_cannot_be_learnt_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check(replace(two(), **changes), "made")


def test_edges_are_those_of_their_own_graph() -> None:
    graphs = pack([[0], [0, 0, 0]], [np.zeros((2, 0), dtype=int), np.array([[2], [0]])], np.array([0, 1]))
    check(graphs, "made")
    with pytest.raises(InvalidInput, match=r"nodes 0 to 2 in graph 1, got \[3, 0\]"):
        check(replace(graphs, edges=np.array([[3], [0]])), "made")


def test_folds_are_stratified_and_complete() -> None:
    y = np.array([0] * 63 + [1] * 125)
    graphs = pack([[0]] * 188, [np.zeros((2, 0), dtype=int)] * 188, y)
    parts = [fold(graphs, seed) for seed in range(20)]
    for first in (0, 10):
        tests = np.concatenate([part.test.x for part in parts[first : first + 10]])
        assert sorted(tests.tolist()) == list(range(188))
    assert {len(part.test.x) for part in parts} == {18, 19}
    for part in parts:
        assert not set(part.train.x) & set(part.test.x) | set(part.validation.x) & set(part.test.x)
        assert len(part.train.x) + len(part.validation.x) + len(part.test.x) == 188
        assert abs(part.test.y.mean() - y.mean()) < 0.05
        assert (part.test.y == y[part.test.x]).all()
    assert not np.array_equal(parts[0].test.x, parts[10].test.x)


def test_karate_is_networkx() -> None:
    graphs, parts = read("karate", None, 0)
    expected = nx.karate_club_graph()
    assert {frozenset(edge) for edge in graphs.edges.T.tolist()} == {frozenset(edge) for edge in expected.edges}
    assert graphs.edges.shape == (2, 2 * expected.number_of_edges())
    assert [["Mr. Hi", "Officer"][side] for side in graphs.y] == [expected.nodes[node]["club"] for node in range(34)]
    assert [np.bincount(part.y).tolist() for part in parts] == [[2, 2], [4, 4], [11, 11]]


def test_block_model() -> None:
    graphs, parts = read("sbm", None, 0)
    assert [np.bincount(part.y).tolist() for part in parts] == [[10] * 4, [15] * 4, [50] * 4]
    same = graphs.y[graphs.edges[0]] == graphs.y[graphs.edges[1]]
    assert same.mean() == pytest.approx(0.08 * 74 / (0.08 * 74 + 0.02 * 225), abs=0.05)
    assert graphs.digest() == read("sbm", None, 0)[0].digest() != read("sbm", None, 1)[0].digest()


@pytest.mark.parametrize("cycle", ["triangle", "square"])
def test_cycles_are_counted(cycle: synthetic_graph.Cycle) -> None:
    graphs = synthetic_graph.random_graphs(30, cycle, np.random.default_rng(0))
    assert graphs.y.max() > graphs.y.min() >= 0
    for number, count in enumerate(graphs.y):
        graph = as_networkx(graphs, number)
        if cycle == "triangle":
            assert count == sum(nx.triangles(graph).values()) // 3
        else:  # two nodes and two of their common neighbours; each square has two such pairs
            pairs = (len(set(graph[u]) & set(graph[v])) for u, v in combinations(graph, 2))
            assert count == sum(common * (common - 1) // 2 for common in pairs) / 2
        degree = np.array([graph.degree[node] for node in graph])
        np.testing.assert_allclose(graphs.x[slice(*graphs.first_node[number : number + 2]), 0], degree / 19)


def test_mutag() -> None:
    graphs = tu.read("mutag", None)
    assert len(graphs) == 188
    assert graphs.x.shape == (3371, 7)
    assert graphs.edges.shape == (2, 7442)
    assert np.bincount(graphs.y).tolist() == [63, 125]
    assert graphs.x.sum(0).tolist() == [2395, 345, 593, 12, 1, 23, 2]  # C, N, O, F, I, Cl, Br


@needs_data
def test_both_copies_of_mutag_have_the_same_graphs() -> None:
    assert DATA is not None
    ours, other = tu.read("mutag", None), tu.read_text(DATA / "TUDataset" / "MUTAG.txt")
    assert sorted(ours.x.sum(0)) == sorted(other.x.sum(0))
    order = [int(tag) for tag in ours.x.sum(0).argsort()[other.x.sum(0).argsort().argsort()]]  # tags by how often they occur

    def forms(graphs: Graphs, order: list[int] | None = None) -> Counter[tuple[str, int]]:
        made = (as_networkx(graphs, number, order) for number in range(188))
        return Counter((nx.weisfeiler_lehman_graph_hash(g, node_attr="tag"), int(y)) for g, y in zip(made, graphs.y, strict=True))

    assert forms(ours) == forms(other, order)


@needs_data
@pytest.mark.slow
def test_proteins_and_nci1() -> None:
    for name, shape in (("proteins", (1113, 43471, 3, 162088)), ("nci1", (4110, 122747, 37, 265506))):
        graphs, parts = read(name, DATA, 3)  # type: ignore[arg-type]
        assert (len(graphs), *graphs.x.shape, graphs.edges.shape[1]) == shape
        assert sum(len(part.x) for part in parts) == shape[0]


TEXT = "2\n3 1\n5 1 1\n5 2 0 2\n6 1 1\n1 0\n5 0\n"


def test_text_files(tmp_path: Path) -> None:
    path = tmp_path / "A.txt"
    path.write_text(TEXT)
    graphs = tu.read_text(path)
    assert graphs.x.tolist() == [[1, 0], [1, 0], [0, 1], [1, 0]]
    assert graphs.edges.tolist() == [[1, 0, 2, 1], [0, 1, 1, 2]]
    assert graphs.y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the number of graphs in line 1"),
        ("x\n", "whole numbers in line 1, got 'x'"),
        (TEXT[:20], "a tag, a degree and so many neighbours in line"),
        (TEXT[: TEXT.index("1 0\n5 0")], "the number of nodes and the label of a graph in line 6"),
        (TEXT.replace("5 2 0 2", "5 3 0 2"), "a tag, a degree and so many neighbours in line 4"),
        (TEXT + "1 0\n", "the end after 2 graphs in line 8"),
    ],
)
def test_damaged_text_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "A.txt"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=rf"A\.txt must have {message}"):
        tu.read_text(path)


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    def folder(**changes: str) -> Graphs:
        texts = {"A": "1, 2\n2, 1\n", "graph_indicator": "1\n1\n2\n", "node_labels": "0\n1\n0\n", "graph_labels": "1\n-1\n"} | changes
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return tu.read_folder("A", *(tmp_path / name for name in tu.FOLDER_PARTS))

    graphs = folder()
    assert graphs.y.tolist() == [1, 0]
    assert graphs.first_edge.tolist() == [0, 2, 2]
    with pytest.raises(InvalidInput, match="must join nodes of one graph"):
        folder(A="1, 3\n")
    with pytest.raises(InvalidInput, match="must join nodes of one graph, numbered from 1 to 3"):
        folder(A="1, 4\n")
    for wrong in ("1\n1\n", "1\n2\n1\n", "1\n1\n3\n"):
        with pytest.raises(InvalidInput, match="must number 3 nodes by 2 graphs in order"):
            folder(graph_indicator=wrong)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"must find TUDataset/PROTEINS\.txt in the folder of data, got no folder") as raised:
        graph_sources(ARGUMENTS | {"dataset": "proteins"}, None)
    assert "Set KANZOO_DATA to a folder that holds TUDataset/PROTEINS.txt" in raised.value.hint
    with pytest.raises(InvalidInput, match=r"must find the file .*NCI1\.txt, got none"):
        graph_sources(ARGUMENTS | {"dataset": "nci1"}, tmp_path)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a mirror of a small Cora, which PyG downloads from; node 1,503 is in no file."""
    from torch_geometric.data import download
    from torch_geometric.datasets import Planetoid

    words = scipy.sparse.csr_matrix(np.eye(1505, 4)[::-1])
    classes = np.eye(2, dtype=int)[np.arange(1505) % 2]
    objects = {"x": words[:2], "y": classes[:2], "allx": words[:1502], "ally": classes[:1502]}
    objects |= {"tx": words[1502:1504], "ty": classes[1502:1504], "graph": {0: [1, 1, 0], 5: [1504]}}
    contents = {name: pickle.dumps(value, protocol=4) for name, value in objects.items()}
    contents["test.index"] = b"1504\n1502\n"
    contents = {name: contents[name] for name in planetoid._SHA256["cora"]}
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content in contents.items():
        (mirror / f"ind.cora.{name}").write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(planetoid, "_SHA256", {"cora": hashes})
    allowed = {("scipy.sparse._csr", "csr_matrix"): scipy.sparse.csr_matrix}  # as scipy and numpy of today call them
    reconstruct = np.empty(0).__reduce__()[0]
    monkeypatch.setattr(planetoid, "_ALLOWED", planetoid._ALLOWED | allowed | {("numpy._core.multiarray", "_reconstruct"): reconstruct})

    def fetch(url: str, folder: str, log: bool) -> str:
        source = mirror / url.rpartition("/")[2]
        if not source.is_file():
            raise URLError("not found")
        Path(folder).mkdir(exist_ok=True)
        return shutil.copy(source, folder)

    assert Planetoid.url.startswith("https://github.com/kimiyoung/planetoid/")
    assert download.download_url
    monkeypatch.setattr("torch_geometric.data.download_url", fetch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_planetoid_is_downloaded_once(tiny: Path) -> None:
    identity = planetoid.identity("cora", None)
    graphs, parts = planetoid.read("cora", None)
    for file in (tiny / "mirror").iterdir():
        file.unlink()
    assert planetoid.read("cora", None)[0].digest() == graphs.digest()
    assert planetoid.identity("cora", None) == identity
    # Loops and repeated edges are left out, and every edge leads both ways.
    assert graphs.edges.T.tolist() == [[0, 1], [1, 0], [5, 1504], [1504, 5]]
    assert graphs.x.shape == (1505, 4)
    assert (graphs.x[1503], graphs.y[1503]) == (pytest.approx([0] * 4), 0)
    assert [part.x[[0, -1]].tolist() for part in parts] == [[0, 1], [2, 501], [1502, 1504]]
    # What stands first in tx is node 1504.
    assert graphs.y[1504] == 0
    assert graphs.y[1502] == 1
    # The folder of data comes first, where it has them.
    (tiny / "cache" / "kanzoo" / "Cora").rename(tiny / "Cora")
    assert planetoid.read("cora", tiny)[0].digest() == graphs.digest()


@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_a_failing_download_says_what_to_do(tiny: Path, harm: str) -> None:
    path = tiny / "mirror" / "ind.cora.ty"
    content = path.read_bytes()
    path.unlink()
    if harm == "truncated":
        path.write_bytes(content[:50])
    with pytest.raises(InvalidInput, match=r"task\.dataset 'cora' must be downloaded by torch_geometric, got") as raised:
        planetoid.read("cora", None)
    assert "Set KANZOO_DATA to a folder that holds Cora/raw/ind.cora.x" in raised.value.hint
    path.write_bytes(content)
    assert len(planetoid.read("cora", None)[0].x) == 1505


@pytest.mark.parametrize("harm", ["missing", "truncated", "other"])
def test_a_wrong_pickle_is_never_read(tiny: Path, harm: str) -> None:
    planetoid.read("cora", None)
    (tiny / "cache" / "kanzoo" / "Cora").rename(tiny / "Cora")
    path = tiny / "Cora" / "raw" / "ind.cora.graph"
    content = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(content[:20] if harm == "truncated" else b"cos\nsystem\n(S'touch harmed'\ntR.")
    message = "got no file" if harm == "missing" else "have sha256"
    for function in (planetoid.read, planetoid.identity):
        with pytest.raises(InvalidInput, match=rf"Cora/raw/ind\.cora\.graph must .*{message}") as raised:
            function("cora", tiny)
    assert "Delete the folder" in raised.value.hint
    assert not Path("harmed").exists()


def test_pickles_cannot_run_code(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planetoid.read("cora", None)
    path = tiny / "cache" / "kanzoo" / "Cora" / "raw" / "ind.cora.graph"
    path.write_bytes(b"cposix\nsystem\n(S'false'\ntR.")
    hashes = planetoid._SHA256["cora"] | {"graph": hashlib.sha256(path.read_bytes()).hexdigest()}
    monkeypatch.setattr(planetoid, "_SHA256", {"cora": hashes})
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system is not allowed"):
        planetoid.read("cora", None)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cora", "citeseer"])
def test_official_files_are_read_as_pyg_does(dataset: planetoid.Name, tmp_path: Path) -> None:
    from torch_geometric.datasets import Planetoid

    assert DATA is not None
    folder = {"cora": "Cora", "citeseer": "CiteSeer"}[dataset]
    shutil.copytree(DATA / folder, tmp_path / folder)
    (tmp_path / folder).chmod(0o755)
    theirs = Planetoid(str(tmp_path), folder)[0]
    graphs, parts = planetoid.read(dataset, DATA)
    x = theirs.x.numpy()
    np.testing.assert_allclose(graphs.x, x / np.maximum(x.sum(1, keepdims=True), 1), rtol=1e-6)
    np.testing.assert_array_equal(graphs.y, theirs.y.numpy())
    assert set(map(tuple, graphs.edges.T.tolist())) == set(map(tuple, theirs.edge_index.numpy().T.tolist()))
    for part, mask in zip(parts, (theirs.train_mask, theirs.val_mask, theirs.test_mask), strict=True):
        np.testing.assert_array_equal(part.x, mask.numpy().nonzero()[0])
