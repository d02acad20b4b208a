"""Charts of the page: figures with intervals in, an SVG out."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.study.intervals import Interval

COLOURS = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"  # Okabe & Ito
MARKERS = "osD^vP"  # one less than colours, so that both come together again late
WIDTH = 6.4  # inches; a phone shows it at half that
ACROSS = 0.26  # inches of a row of dots
LONG = 30  # letters of a name, of which two do not fit beside each other in the legend


def lines(series: Mapping[str, Mapping[int, Interval]], across: str, up: str, colours: Mapping[str, int]) -> bytes:
    """A line for each name: values at positive numbers, on a logarithmic scale, with bars for the intervals.

    A mark is hollow if it is that of one run.

    Args:
        series: name → number → value.
        across: what stands below the chart.
        up: what stands beside it.
        colours: of each name, as a place in `COLOURS`, so that a name has the same one in all charts.
    """
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(series.items()):
        places = sorted(values)
        middle = [values[place].value for place in places]
        ends = [[values[place].value - values[place].low for place in places]]
        ends.append([values[place].high - values[place].value for place in places])
        style = _style(colours[name], number) | {"label": _named(name), "linewidth": 1.8, "capsize": 4}
        beside = _aside(places, number, len(series))
        axes.errorbar(beside, middle, yerr=ends, **style)
        hollow = [at for at, place in enumerate(places) if values[place].seeds == 1]
        marks = _style(colours[name], number) | {"markerfacecolor": "white", "linestyle": "none", "zorder": 3}
        axes.plot([beside[at] for at in hollow], [middle[at] for at in hollow], **marks)
    axes.set(xscale="log", xlabel=across, ylabel=up)
    ticks = sorted({place for values in series.values() for place in values})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.legend()
    return _svg(figure, axes)


def _aside(places: Sequence[int], number: int, of: int) -> list[float]:
    """Beside each other, lest bars cover each other."""
    return [place * 1.03 ** (number - (of - 1) / 2) for place in places]


def curves(series: Mapping[str, pd.Series], across: str, up: str, colours: Mapping[str, int]) -> bytes:
    """A line for each name: values by their index; the rest as for `lines`."""
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(series.items()):
        style = _style(colours[name], number) | {"label": _named(name), "linewidth": 1.6, "markersize": 3.5}
        axes.plot(values.index, values, **style)
    axes.set(xlabel=across, ylabel=up, xlim=(0, None))
    axes.legend()
    return _svg(figure, axes)


def dots(rows: Mapping[str, Mapping[str, Interval]], across: str, colours: Mapping[str, int] | None = None) -> bytes:
    """A row for each name with a mark and a bar for each of its figures, hollow if it is that of one run.

    Where a bar comes near 0, that is on it, with a line: so one sees what is clearly above and below.

    Args:
        rows: name of a row → name of a figure → its value.
        across: what stands below the chart.
        colours: of each name of a figure, as a place in `COLOURS`; by default in their order.
    """
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    colours = colours or {name: number for number, name in enumerate(names)}
    columns = 1 if max(map(len, names)) > LONG else 2
    places = sum(len(row) + 0.8 for row in rows.values()) + math.ceil(len(names) / columns)
    height = 0.8 + places * ACROSS
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    place, ticks, shown = 0.0, [], set()
    for row in rows.values():
        start = place
        for name, value in row.items():
            number = names.index(name)
            label = "_" if name in shown else _named(name)
            bar = [[value.value - value.low], [value.high - value.value]]
            style = _style(colours[name], number) | ({"markerfacecolor": "white"} if value.seeds == 1 else {})
            axes.errorbar([value.value], [place], xerr=bar, label=label, linewidth=1.8, capsize=4, **style)
            shown.add(name)
            place += 1
        ticks.append((start + place - 1) / 2)
        place += 0.8
    axes.set_yticks(ticks, list(rows))
    axes.set_ylim(place - 0.8, -1)  # the first on top; labels have up to three lines
    lowest, highest = axes.get_xlim()
    if lowest < (highest - lowest) / 4:
        axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    axes.set_xlabel(across)
    if len(names) > 1:
        figure.legend(loc="outside lower center", ncols=columns)
    axes.tick_params(axis="y", length=0)
    return _svg(figure, axes, "x")


def _style(colour: int, marker: int) -> dict[str, Any]:
    return {"color": COLOURS[colour % len(COLOURS)], "marker": MARKERS[marker % len(MARKERS)]}


def _named(name: str) -> str:
    """A name as the legend shows it: Matplotlib leaves out those that begin with an underscore."""
    return f"\N{ZERO WIDTH SPACE}{name}" if name.startswith("_") else name


def _svg(figure: Figure, axes: Axes, ruled: Literal["x", "y"] = "y") -> bytes:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=ruled, alpha=0.3)
    axes.set_axisbelow(True)
    content = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names may have a $
    with matplotlib.rc_context({"svg.hashsalt": "study", "font.size": 11}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()
