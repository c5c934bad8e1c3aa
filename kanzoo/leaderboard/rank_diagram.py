"""The critical-difference diagram: models on an axis of mean ranks, bars over those that do not differ. SVG text, no library."""

from html import escape

from kanzoo.leaderboard.versus import Field

_WIDTH, _SIDE, _ROW, _AXIS = 760, 210, 19, 58


def rank_diagram(field: Field) -> str:
    """Return the diagram of Demšar as SVG; its colours are the classes of the page.

    Args:
        field: models with their mean ranks.
    """
    count = len(field.models)
    left = (count + 1) // 2
    bars = len(field.cliques)
    top = _AXIS + 14 + 7 * bars
    height = top + _ROW * left + 12

    def place(rank: float) -> float:
        return _SIDE + (rank - 1) / (count - 1) * (_WIDTH - 2 * _SIDE)

    lines = [_line("axis", place(1), _AXIS, place(count), _AXIS)]
    step = -(-count // 12)
    for tick in range(1, count + 1, step):
        lines += [_line("axis", place(tick), _AXIS - 5, place(tick), _AXIS), _text("tick", place(tick), _AXIS - 10, "middle", str(tick))]
    if field.critical_difference < count - 1:
        end, words = place(1 + field.critical_difference), f"critical difference {field.critical_difference:.2f}"
        lines += [_line("bar", place(1), 18, end, 18), _text("tick", end + 8, 22, "start", words)]
    for index, (first, last) in enumerate(field.cliques):
        level = _AXIS + 9 + 7 * index
        lines.append(_line("clique", place(field.mean_ranks[first]) - 4, level, place(field.mean_ranks[last]) + 4, level))
    for index, (model, rank) in enumerate(zip(field.models, field.mean_ranks, strict=True)):
        is_left = index < left
        row = index if is_left else count - 1 - index
        y, x = top + _ROW * (row + 0.5), _SIDE - 12 if is_left else _WIDTH - _SIDE + 12
        lines.append(f'<path class="axis lead" d="M{place(rank):.1f} {_AXIS}V{y:.1f}H{x}"/>')
        words = f"{model}  {rank:.2f}" if is_left else f"{rank:.2f}  {model}"
        lines.append(_text("name", x + (-6 if is_left else 6), y + 4, "end" if is_left else "start", words))
    title = f"{count} models on an axis of mean ranks"
    return f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" role="img" aria-label="{title}">{"".join(lines)}</svg>'


def _line(name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(name: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
