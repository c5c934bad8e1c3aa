"""Commands on files of one's own: which network for a table, what it predicts, and whether rows are right. Imports stay inside."""

from pathlib import Path
from typing import Annotated

import typer

from kanzoo.cli_options import Accelerator, DataDir, Uri, data_folder
from kanzoo.errors import InvalidInput

_KINDS = ("auto", "regression", "classification")


def recommend(
    file: Annotated[Path, typer.Argument(help="CSV file with the names of its columns in the first line.")],
    *,
    target: Annotated[str, typer.Option(help="The column to predict from all others.")],
    seconds: Annotated[float, typer.Option(min=1, help="Time for the whole search.")] = 120,
    jobs: Annotated[int, typer.Option(min=1, help="Cells at a time; worker processes take seconds to start.")] = 1,
    seeds: Annotated[int, typer.Option(min=3, max=100, help="Seeds of the two finalists.")] = 5,
    bases: Annotated[str, typer.Option(help="Bases to try, with commas; * for all.  [default: one of each family]")] = "",
    kind: Annotated[str, typer.Option(help="auto, regression or classification.")] = "auto",
    out: Annotated[Path, typer.Option(help="File for the winner's config.")] = Path("recommended.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite that file.")] = False,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """Is a KAN better than an MLP on my table, and which one? kanzoo recommend houses.csv --target price."""
    from dataclasses import replace

    from kanzoo.recommend.columns import look
    from kanzoo.recommend.halving import Choice, candidates
    from kanzoo.recommend.search import MLP_WIDTHS, WIDTHS, Problem, Search, chosen_bases, metric

    if kind not in _KINDS:
        raise InvalidInput(f"--kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    if accelerator not in ("auto", "cpu", "gpu"):
        raise InvalidInput(f"accelerator must be one of auto, cpu, gpu, got {accelerator!r}")
    if out.suffix not in (".yaml", ".yml"):
        raise InvalidInput(f"--out must end in .yaml, got {str(out)!r}")
    if out.exists() and not force:
        raise InvalidInput(f"--out must not exist yet, got {str(out)!r}", "--force overwrites it.")
    found = look(file, target)
    problem = Problem(file, target, found if kind == "auto" else replace(found, kind=kind), data_folder(data_dir))  # type: ignore[arg-type]
    tried = candidates(chosen_bases(bases), WIDTHS, MLP_WIDTHS)
    for one in tried:
        problem.cells(Choice(one, 1), 1)  # refuses table and names before anything is recorded

    from kanzoo import terminal, terminal_verdict
    from kanzoo.leaderboard import summarise
    from kanzoo.place import Place
    from kanzoo.recommend.verdict import Finalist, judge, warning
    from kanzoo.tracking import Tracker, default_uri

    place = Place(tracking_uri or default_uri(), f"recommend-{file.name}", data_dir=problem.data_dir, accelerator=accelerator)
    terminal.say(f"{problem.target.kind} of {target!r}, {found.rows} rows: {len(tried)} candidates, {seconds:g} s")
    search = Search(problem, place, seconds, seeds, jobs, terminal.say)
    with terminal_verdict.searching("searching"):
        result = search.run(tried)
    finalists = {choice: Finalist(choice.candidate.name, summary) for choice, rows in result.rows.items() for summary in summarise(rows)}
    best = {("kan" if choice.candidate.basis else "mlp"): choice for choice in finalists}
    kan, mlp = (finalists[best[name]] if name in best else None for name in ("kan", "mlp"))
    verdict = judge(kan, mlp, result.test_share)
    terminal_verdict.skipped(result.history)
    if verdict.take is None:
        terminal.say(verdict.sentence)
        raise typer.Exit(1)
    choice = best[verdict.take]
    tracker = Tracker(place.tracking_uri)
    r2 = [metric(tracker, row, "test/r2") for row in result.rows[choice] if row.status == "FINISHED"]
    doubt = warning(problem.target.kind, r2, found.most, finalists[choice].summary)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(problem.cells(choice, 1)[0].to_yaml(), encoding="utf-8")
    terminal_verdict.recommendation(list(finalists.items()), [text for text in (verdict.sentence, doubt) if text], out)


def predict(
    run: Annotated[str, typer.Argument(help="Id of the run, or how no other one begins.")],
    file: Annotated[Path, typer.Argument(help="CSV file with the columns that the network sees.")],
    *,
    out: Annotated[Path | None, typer.Option(help="File for the rows with their predictions; printed without one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite that file.")] = False,
    data_dir: DataDir = None,
    tracking_uri: Uri = None,
    accelerator: Accelerator = "auto",
) -> None:
    """What a trained network says of new rows of its table: kanzoo predict 1a2b3c4d new.csv --out predicted.csv."""
    if out is not None and out.exists() and not force:
        raise InvalidInput(f"--out must not exist yet, got {str(out)!r}", "--force overwrites it.")
    from kanzoo import prediction, terminal
    from kanzoo.leaderboard.number import plural
    from kanzoo.place import Place
    from kanzoo.tracking import default_uri

    place = Place(tracking_uri or default_uri(), "predict", data_dir=data_folder(data_dir), accelerator=accelerator)
    found = prediction.predict(run, file, place)
    if out is None:
        typer.echo(found.to_csv(), nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.name}.partial")
    partial.write_text(found.to_csv(), encoding="utf-8")
    partial.replace(out)
    terminal.say(f"Written: {out}, {plural(len(found.rows), 'row')}")
    if found.outside:
        terminal.say(f"{plural(found.outside, 'row')} with values beyond those of the training rows: do not rely on what is said of them.")


def submit(
    rows: Annotated[Path, typer.Argument(help="CSV file of raw rows, as `kanzoo leaderboard` writes it.")],
    *,
    into: Annotated[
        Path | None, typer.Option(help="File of published rows.  [default: leaderboard/results/ and the file's name]", show_default=False)
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check rows of another machine and merge them into published ones: each command must give the row's config again."""
    from kanzoo import submission, terminal_verdict

    into = into or Path("leaderboard/results") / rows.name
    found = submission.check(rows, into, data_folder(data_dir))
    if not found.refused:
        submission.merge(found, into)
    terminal_verdict.submitted(found, into)
    if found.refused:
        raise InvalidInput(f"every row must be right, got {len(found.refused)} that are refused in {rows}", "Nothing is written.")
