"""What the page is made of: pictures, and tables of figures."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.study import glossary
from pipeline.study.cells import Cell, Table
from pipeline.study.intervals import Interval

NOTHING = "–"  # where a table has no figure to show
WHO = {"unet": "U-Net", "unet_gain": "U-Net × gain", "gan": "GAN"}


@dataclass
class Picture:
    """A picture on the page, as a data URL, with what stands below it."""

    url: str
    caption: str


@dataclass
class Grid:
    """A table on the page: a heading, columns, and rows of a name and cells, None where a figure is missing."""

    title: str
    columns: list[str]
    rows: Sequence[tuple[str, Sequence[Interval | str | None]]]


def url(content: bytes, kind: str) -> str:
    """A picture as a data URL, which needs no file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def compared(
    table: Table, columns: Sequence[tuple[Cell, str]], metrics: Iterable[str]
) -> list[tuple[str, list[Interval | str | None]]]:
    """Rows of a `Grid`, one a figure; see `Table.together` for what stands in them."""
    return [
        (glossary.label(metric), [value or NOTHING for value in table.together(columns, metric)]) for metric in metrics
    ]
