"""What `kanzoo recommend` and `kanzoo submit` show."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.text import Text

from kanzoo.recommend.halving import Choice, History
from kanzoo.recommend.verdict import Finalist, in_words
from kanzoo.submission import Submission
from kanzoo.terminal import console, new_table, say

#: Refused rows that are listed.
_LISTED = 20
#: Names of candidates that are printed when they were left out.
_NAMED = 6


@contextmanager
def searching(text: str) -> Iterator[None]:
    """Show that something goes on; nothing in a log file."""
    if not console.is_terminal:
        yield
        return
    with console.status(Text(text)):
        yield


def recommendation(chosen: Sequence[tuple[Choice, Finalist]], sentences: Sequence[str], file: Path) -> None:
    """Print the finalists, the verdict and the command to run."""
    table = new_table("finalist", "epochs", "score on test rows", "seeds", "parameters", "training", title="Finalists")
    for choice, finalist in chosen:
        one = finalist.summary
        shown = f"{one.score_name} {in_words(one)}" if one.n else f"FAILED: {one.reasons[0] if one.reasons else ''}"[:60]
        cells = [shown, str(one.n), f"{one.num_parameters:.0f}", f"{one.train_time_s:.1f} s"]
        table.add_row(Text(finalist.name), str(choice.epochs), *map(Text, cells))
    console.print(table)
    for sentence in sentences:
        console.print(Text(sentence, "bold" if sentence is sentences[0] else ""), soft_wrap=True)
    say(f"\nRun it: kanzoo run {file}, and with the id that it prints: kanzoo predict ID new.csv")


def skipped(history: History) -> None:
    """Print who was not tried at all for lack of time."""
    asked, tried = (dict.fromkeys(one.name for rung in history.rungs for one in getattr(rung, who)) for who in ("asked", "tried"))
    names = [name for name in asked if name not in tried]
    if names:
        rest = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        listed = ", ".join(names[:_NAMED])
        say(f"Only {len(tried)} of {len(asked)} candidates were tried; left out for lack of time (--seconds): {listed}{rest}")


def submitted(submission: Submission, into: Path) -> None:
    """Print what became of submitted rows: the refusals, or how many were merged."""
    for line, reason in submission.refused[:_LISTED]:
        console.print(Text(f"line {line}: {reason}", "red"), soft_wrap=True)
    if len(submission.refused) > _LISTED:
        say(f"... and {len(submission.refused) - _LISTED} more")
    if not submission.refused:
        say(f"{len(submission.new)} rows merged into {into}, {submission.known} were there already.")
