"""Draw the network of a run: its diagram, the edge functions of each layer, and an interactive page."""

import io
from dataclasses import dataclass
from typing import Literal

import matplotlib
from matplotlib.figure import Figure

from kanzoo.inspect import kan_layers
from kanzoo.inspect.fit import MOST_ROWS
from kanzoo.inspect.layer import layer_inputs, squash_of
from kanzoo.inspect.plot import diagram, gallery, page
from kanzoo.inspect.stack import dense_stack
from kanzoo.inspection.subject import Finding, Subject

#: Edges of a layer that a diagram and a gallery show: more could not be told apart.
MOST_EDGES, MOST_PANELS = 24, 36

_DPI = 150


@dataclass(frozen=True)
class Plot:
    """Draw all that has a meaning: of a stack of dense layers diagram and page, of each elementwise layer its strongest edge functions."""

    name, finetune = "plot", 0

    def __call__(self, subject: Subject) -> Finding:
        """Apply it."""
        model = subject.task.model
        layers = kan_layers(model)
        mixed = [name for name, layer in layers.items() if squash_of(layer).norm is not None]
        if len(mixed) == len(layers):
            raise ValueError(f"a layer must have a squash that is elementwise, got 'layernorm' in {', '.join(map(repr, mixed))}")
        notes = [f"Layer {name!r} and the diagram are not drawn: edges under the squash layernorm are not of one input." for name in mixed]
        files: dict[str, bytes | str] = {}
        seen = layer_inputs(model, *subject.inputs, max_rows=MOST_ROWS)
        for name, layer in layers.items():
            if name not in mixed:
                files[f"gallery-{name or 'network'}.png"] = _saved(gallery(layer, seen[name], most=MOST_PANELS), "png")
        if not mixed:
            try:
                dense_stack(model)
            except ValueError as error:
                notes.append(f"No diagram and no page: {error}.")
            else:
                files |= self._network(subject)
        return Finding(None, {}, {"files": list(files), "notes": notes}, files)

    def _network(self, subject: Subject) -> dict[str, bytes | str]:
        model, x, variables = subject.task.model, subject.stack_input(), subject.task.variables()
        figure = diagram(model, x, names=variables.inputs, outputs=variables.outputs, most=MOST_EDGES)
        text = page(model, x, names=variables.inputs, outputs=variables.outputs, most=MOST_EDGES, title=subject.title)
        return {"diagram.png": _saved(figure, "png"), "diagram.svg": _saved(figure, "svg"), "page.html": text}


def _saved(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Return a figure as a file; the same figure gives the same one."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "kanzoo"}):
        figure.savefig(content, format=kind, dpi=_DPI, metadata={"Software": None} if kind == "png" else {"Date": None, "Creator": None})
    return content.getvalue()
