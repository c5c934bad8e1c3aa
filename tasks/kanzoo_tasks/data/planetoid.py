"""Cora and CiteSeer, citation networks with the public split of Planetoid, from their raw files, which are pickles."""

import hashlib
import io
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from kanzoo.errors import InvalidInput
from kanzoo_tasks.data import download
from kanzoo_tasks.data.graph import Graphs, one_graph
from kanzoo_tasks.data.parts import Parts

Name = Literal["cora", "citeseer"]

_FOLDERS = {"cora": "Cora", "citeseer": "CiteSeer"}
# sha256 of the files of github.com/kimiyoung/planetoid
_SHA256 = {
    "cora": {
        "allx": "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
        "ally": "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
        "graph": "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
        "test.index": "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
        "tx": "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
        "ty": "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
        "x": "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab",
        "y": "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
    },
    "citeseer": {
        "allx": "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
        "ally": "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
        "graph": "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
        "test.index": "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
        "tx": "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
        "ty": "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
        "x": "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6",
        "y": "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
    },
}
# All that these pickles of Python 2 name.
_ALLOWED = {
    ("scipy.sparse.csr", "csr_matrix"): scipy.sparse.csr_matrix,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
}


class _Unpickler(pickle.Unpickler):
    """Reads arrays, sparse matrices and dictionaries of lists, and runs nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _ALLOWED[module, name]


def check_files(dataset: Name, data_dir: Path | None) -> dict[str, bytes]:
    """Return the contents of the files; none where they are yet to be downloaded.

    Raises:
        InvalidInput: a file is missing, or is not the published one.
    """
    folder = download.folder(data_dir, _FOLDERS[dataset])
    if not folder.is_dir():
        return {}
    contents = {}
    for part, expected in _SHA256[dataset].items():
        path = folder / f"ind.{dataset}.{part}"
        contents[part] = path.read_bytes() if path.is_file() else b""
        found = hashlib.sha256(contents[part]).hexdigest()
        if found != expected:
            got = f"got {found[:12]}..." if path.is_file() else "got no file"
            raise InvalidInput(
                f"{path} must have sha256 {expected[:12]}..., {got}",
                f"Delete the folder {folder}, and {dataset} is downloaded anew, or put the official file there.",
            )
    return contents


def identity(dataset: Name, data_dir: Path | None) -> str:
    """Return the sha256 that names a data set, the same on every machine; files are checked as in `check_files`."""
    check_files(dataset, data_dir)
    return hashlib.sha256(" ".join(_SHA256[dataset].values()).encode()).hexdigest()


def read(dataset: Name, data_dir: Path | None) -> tuple[Graphs, Parts]:
    """Return the graph, its features divided by the words of a paper, and the public split: 20 a class, 500 and 1,000 nodes.

    Raises:
        InvalidInput: a file is missing or damaged, or cannot be downloaded.

    Reference:
        Yang et al., Revisiting semi-supervised learning with graph embeddings, arXiv:1603.08861.
    """
    contents = check_files(dataset, data_dir)
    if not contents:
        _download(dataset, download.folder(data_dir, _FOLDERS[dataset]))
        contents = check_files(dataset, data_dir)
    raw = {part: _Unpickler(io.BytesIO(content), encoding="latin1").load() for part, content in contents.items() if part != "test.index"}
    order = np.array(contents["test.index"].split(), dtype=np.int64)
    # The test nodes lie in this order behind the others; the few of CiteSeer that no file holds have no words and class 0.
    start, count = int(order.min()), int(order.max()) + 1
    x, onehot = np.zeros((count, raw["allx"].shape[1])), np.zeros((count, raw["ally"].shape[1]))
    x[:start], onehot[:start] = raw["allx"].toarray(), raw["ally"]
    x[order], onehot[order] = raw["tx"].toarray(), raw["ty"]
    graphs = one_graph(x / np.maximum(x.sum(1, keepdims=True), 1), _edges(raw["graph"]), onehot.argmax(1))
    train = len(raw["y"])
    return graphs, Parts(graphs.part(np.arange(train)), graphs.part(np.arange(train, train + 500)), graphs.part(np.sort(order)))


def _edges(neighbours: dict[int, list[int]]) -> NDArray[Any]:
    """Return the edges, each once in either direction, without loops."""
    pairs = np.array([(source, target) for source, targets in neighbours.items() for target in targets], dtype=np.int64)
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    unique: NDArray[Any] = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return unique.T


def _download(dataset: Name, folder: Path) -> None:
    """Let PyG fetch the files."""
    try:
        from torch_geometric.data import download_url
        from torch_geometric.datasets import Planetoid

        def by_pyg(empty: Path) -> Path:
            for part, expected in _SHA256[dataset].items():
                path = download_url(f"{Planetoid.url}/ind.{dataset}.{part}", str(empty / "raw"), log=False)
                found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                if found != expected:
                    raise OSError(f"ind.{dataset}.{part} of sha256 {found[:12]}..., not {expected[:12]}...")
            return empty / "raw"

        download.fetch(folder, by_pyg)
    except (ImportError, OSError, EOFError, RuntimeError) as error:
        raise InvalidInput(
            f"task.dataset {dataset!r} must be downloaded by torch_geometric, got {error}",
            f"Set KANZOO_DATA to a folder that holds {_FOLDERS[dataset]}/raw/ind.{dataset}.x and the other seven files "
            "(github.com/kimiyoung/planetoid), or take task.dataset=sbm, which needs no network.",
        ) from error
