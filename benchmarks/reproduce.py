"""Runs published rows again by their printed commands: `python -m benchmarks.reproduce --count 5 --draw 0`.

Prints each row's score as it was published and as it is now, and whether this lies in the published interval of its model. Exit code 1
where one does not. Rows whose command means another cell today, because they were recorded before a key came, are told and left out.
"""

import argparse
import random
import shlex
import sys
import tempfile
from pathlib import Path

from kanzoo.benchmark import run_one
from kanzoo.config import compose, data_dir_from_environment
from kanzoo.leaderboard import read_csv, summarise
from kanzoo.leaderboard.number import format_score
from kanzoo.place import Place
from kanzoo.record import Row

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Draw rows, run them, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5, help="rows to run")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw")
    parser.add_argument("--results", type=Path, nargs="*", default=sorted((ROOT / "leaderboard" / "results").glob("*.csv")))
    chosen = parser.parse_args()
    rows = [row for path in chosen.results for row in read_csv(path) if row.status == "FINISHED"]
    intervals = {(one.board, one.model_key): (one.low, one.high) for one in summarise(rows)}
    # A budget of time gives another number of steps each time, by its nature.
    candidates = random.Random(chosen.draw).sample([row for row in rows if "seconds=" not in row.track], len(rows) // 2)
    done, right = 0, True
    with tempfile.TemporaryDirectory() as folder:
        place = Place(f"sqlite:///{folder}/mlflow.db", "reproduce", data_dir=data_dir_from_environment())
        for row in candidates:
            if done == chosen.count:
                break
            name, *overrides = shlex.split(row.command)[2:]
            (cell,) = compose(name, overrides, data_dir=place.data_dir)
            if cell.config_hash != row.config_hash:
                sys.stdout.write(f"{row.task} {row.model} seed={row.seed}: recorded before a key came\n")
                continue
            done += 1
            again = run_one(cell, place)
            right &= _told(row, again, *next(interval for (board, key), interval in intervals.items() if key == row.model_key))
    return 0 if right and done == chosen.count else 1


def _told(row: Row, again: Row, low: float, high: float) -> bool:
    """Print both scores; return whether the new one is the published one, or in the interval of its model."""
    same = again.score == row.score
    inside = same or low <= again.score <= high
    verdict = "the same" if same else "within the interval" if inside else "OUTSIDE"
    before, now = (format_score(one.score, one.score_name) for one in (row, again))
    sys.stdout.write(f"{row.command}\n  published {before}, now {now}: {verdict}\n")
    return inside


if __name__ == "__main__":
    sys.exit(main())
