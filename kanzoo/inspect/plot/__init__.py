"""Pictures of trained networks, one file each. Imports matplotlib, without pyplot; `kanzoo.inspect` does not import this package."""

from kanzoo.inspect.plot.composition import composition
from kanzoo.inspect.plot.diagram import diagram
from kanzoo.inspect.plot.gallery import gallery
from kanzoo.inspect.plot.page import page
from kanzoo.inspect.plot.staircase import staircase

__all__ = ["composition", "diagram", "gallery", "page", "staircase"]
