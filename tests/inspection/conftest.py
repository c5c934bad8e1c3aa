"""A store of small recorded runs, and the command line on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kanzoo import cli, cli_inspect, experiment
from kanzoo.config import compose
from kanzoo.place import Place
from kanzoo.record import Row
from kanzoo.tracking import Tracker

TWO = ("task.formula=sin(pi*x1)+0.05*x2", "task.hidden=[3]", "trainer.batch_size=0", "trainer.max_epochs=20", "trainer.validate_every=20")


class Recorded:
    """A store with a finished KAN, a finished baseline and a failed run, to which others are added when they are asked for."""

    def __init__(self, tiny: str, uri: str) -> None:
        self.tiny, self.uri, self.tracker = tiny, uri, Tracker(uri)
        self.place = Place(uri, "own", accelerator="cpu")
        self.kan = self.run("basis.name=bspline")
        self.mlp = self.run("model.name=baseline")
        (cell,) = compose(tiny, [*TWO, "seed=9"])
        self.failed = experiment.record_failure(cell, self.place, "no luck")
        self._others: dict[tuple[str, ...], Row] = {}

    def run(self, *overrides: str) -> Row:
        (cell,) = compose(self.tiny, [*TWO, *overrides])
        return experiment.run(cell, self.place)

    def other(self, config: str, *overrides: str) -> Row:
        """Return the run of a config, trained once for all tests."""
        key = (config, *overrides)
        if key not in self._others:
            (cell,) = compose(config, [*overrides, "trainer.max_epochs=1", "trainer.validate_every=1"])
            self._others[key] = experiment.run(cell, self.place)
            assert self._others[key].status == "FINISHED"
        return self._others[key]

    def runs(self) -> set[str]:
        return {run.info.run_id for run in self.tracker._search("")}

    def inspect(self, run_id: str, *arguments: str) -> tuple[str, Any]:
        """Return what was printed, and the child run."""
        before = self.runs()
        result = CliRunner().invoke(cli_inspect.inspect, [run_id, *arguments, "--tracking-uri", self.uri, "--accelerator", "cpu"])
        assert result.exit_code == 0, (result.output, result.exception)
        (child,) = self.runs() - before
        return result.output, self.tracker.run(child)

    def refused(self, capsys: pytest.CaptureFixture[str], run_id: str, *arguments: str) -> str:
        """Return the error with which the command line refuses, and leaves no trace."""
        before = self.runs()
        code = cli._code(["inspect", run_id, *arguments, "--tracking-uri", self.uri])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert self.runs() == before
        return err

    def artifact(self, run_id: str, name: str, folder: Path) -> bytes:
        return self.tracker.artifact(run_id, name, folder).read_bytes()


@pytest.fixture(scope="session")
def recorded(tiny: str, new_store: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tiny, new_store(tmp_path_factory.mktemp("recorded")))
