"""Records -> rows -> ranking -> CSV, Markdown, HTML: pure functions, rows in and text out.

Rows carry raw numbers; rounding happens in the renderers alone. The same rows in any order give the same bytes.
"""

from kanzoo.leaderboard.csv_file import read_csv, write_csv
from kanzoo.leaderboard.markdown import render_markdown, render_winners
from kanzoo.leaderboard.number import format_score
from kanzoo.leaderboard.page import render_html
from kanzoo.leaderboard.ranking import Ranked, Standing, by_kind, common, overall, pareto, rank
from kanzoo.leaderboard.summary import Board, Direction, Summary, latest, summarise

__all__ = [
    "Board",
    "Direction",
    "Ranked",
    "Standing",
    "Summary",
    "by_kind",
    "common",
    "format_score",
    "latest",
    "overall",
    "pareto",
    "rank",
    "read_csv",
    "render_html",
    "render_markdown",
    "render_winners",
    "summarise",
    "write_csv",
]
