"""What the page begins with: the study's questions, and what answers them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.study import charts, claims
from pipeline.study.cells import Cell, Table
from pipeline.study.claims import Claim
from pipeline.study.elements import WHO, Grid, Picture, compared, url
from pipeline.study.intervals import Interval

QUESTIONS = {  # and the kinds of claims that answer them
    "What does a pretrained encoder bring?": ("encoder or none", "encoder or other"),
    "What do other settings bring?": ("settings",),
    "What does the GAN bring?": ("gan",),
}


@dataclass
class Answer:
    """What the page begins with: a question, the sentences that answer it, and the figures that these are about."""

    question: str
    claims: list[Claim]
    grids: list[Grid] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def answers(table: Table, said: Sequence[Claim]) -> list[Answer]:
    """What the page begins with; a sentence that follows from several parts is there once."""
    found: dict[tuple[Any, ...], Claim] = {}
    for claim in said:
        cell = claim.cell
        if claim.kind == "settings" or cell.setting == table.first_setting(cell.part):
            runs = (record.made.commit for record in table.runs[cell].values())
            found.setdefault((claim.kind, claim.against, *claim.differences, *runs), claim)
    made = [
        Answer(question, [claim for claim in found.values() if claim.kind in kinds])
        for question, kinds in QUESTIONS.items()
    ]
    made[0].pictures += _brought(table)
    made[-1].grids += _gans(table)
    return [answer for answer in made if answer.claims]


def _brought(table: Table) -> list[Picture]:
    """What each encoder brings, a row for each target and number of pictures; the first setting of each part."""
    rows: dict[str, dict[str, Interval]] = {}
    for cell in table.select():
        without = cell._replace(encoder="none")
        if cell.setting != table.first_setting(cell.part) or cell == without or not table.alike(cell, without):
            continue
        for beside, note in ((without, ""), (table.own_rate(without), ",\nat their own rate")):
            if beside and (brought := table.difference(cell, beside, *claims.SKILL)):
                row = rows.setdefault(f"{cell.target}\n{claims.count(cell.images)}{note}", {})
                row.setdefault(", ".join(table.encoders[cell]), brought)
    if not rows:
        return []
    colours = {", ".join(encoder): table.knowledge.index(encoder.knows) for encoder in table.encoders.values()}
    drawn = charts.dots(rows, "skill that the encoder brings the U-Net, beside random weights", colours)
    caption = (
        "What pretraining brings, by what the encoder knows: to the right of 0 it helps. Bars are 95 % intervals; a "
        "hollow mark is that of one run, whose bar covers the test pictures alone. At their own rate: random weights "
        "that learn faster or slower than pretrained ones, where that was measured and is better for them, on these "
        "test pictures."
    )
    return [Picture(url(drawn, "svg+xml"), caption)]


def _gans(table: Table) -> list[Grid]:
    """The GANs of all settings on the same target and encoder, beside the U-Net and its colours times a gain.

    See `Table.together` for what they are means of.
    """
    groups: dict[tuple[Any, ...], dict[str, Cell]] = {}
    for cell in (cell for part in table.values("part") for cell in table.largest(part)):
        if table.figures(cell, "gan", "skill"):
            groups.setdefault((cell.target, table.encoders[cell], cell.images), {}).setdefault(cell.setting, cell)
    grids = []
    for (target, encoder, images), by_setting in groups.items():
        cells = list(by_setting.values())
        columns = {WHO[who]: (cells[0], who) for who in ("unet", "unet_gain")}
        columns |= {f"{WHO['gan']}, {setting}": (cell, "gan") for setting, cell in by_setting.items()}
        rows = compared(table, list(columns.values()), claims.PAINTED)
        grids.append(Grid(f"{target}, {encoder}, {claims.count(images)}", list(columns), rows))
    return grids
