"""What the page begins with: the study's questions, and what answers them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.study import charts, claims
from pipeline.study.cells import Cell, Table
from pipeline.study.claims import Claim
from pipeline.study.elements import WHO, Grid, Picture, compared, url
from pipeline.study.intervals import Interval

QUESTIONS = {  # and the kinds of claims that answer them
    "What does a pretrained encoder bring?": ("encoder or none", "encoder or other", "few or many"),
    "What do other settings bring?": ("settings",),
    "What does the GAN bring?": ("gan",),
}


@dataclass
class Answer:
    """What the page begins with: a question, the sentences that answer it, and the figures that these are about.

    short: of how many comparisons the claims say it clearly.
    """

    question: str
    claims: list[Claim]
    short: str
    grids: list[Grid] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def answers(table: Table, said: Sequence[Claim]) -> list[Answer]:
    """What the page begins with; a sentence that follows from several parts is there once.

    One on the same as that of another part, of runs with other parameters, names its part.
    """
    found: dict[tuple[Any, ...], Claim] = {}
    for claim in said:
        cell = claim.cell
        if claim.kind == "settings" or cell.setting == table.first_setting(cell.part):
            runs = (record.made.commit for record in table.runs[cell].values())
            differences = ((name, difference.value) for name, difference in claim.differences.items())
            found.setdefault((claim.kind, claim.against, *differences, *runs), claim)
    parts: dict[tuple[object, ...], set[str]] = {}
    for claim in found.values():
        parts.setdefault(_about(table, claim), set()).add(claim.cell.part)
    told = [
        replace(claim, sentence=f"{claim.sentence.removesuffix('.')} (part {claim.cell.part}).")
        if len(parts[_about(table, claim)]) > 1
        else claim
        for claim in found.values()
    ]
    made = []
    for question, kinds in QUESTIONS.items():
        answering = [claim for claim in told if claim.kind in kinds]
        made.append(Answer(question, answering, in_short(table, answering)))
    made[0].pictures += _brought(table)
    made[-1].grids += _gans(table)
    return [answer for answer in made if answer.claims]


def _about(table: Table, claim: Claim) -> tuple[object, ...]:
    """What a sentence says it is about, whichever of two encoders is the better one."""
    setting = claim.cell.setting if claim.kind == "settings" else ""
    architecture = table.encoders[claim.cell].architecture
    encoders = frozenset((claim.cell.encoder, claim.against))
    return claim.kind, claim.cell.target, claim.cell.images, architecture, setting, encoders


def in_short(table: Table, said: Sequence[Claim]) -> str:
    """How many of the claims on encoders, and on GANs, are clear; nothing, if there are no others."""
    sentences = [*_help(said), *_best(table, said), *_few(said), *_lively(said)]
    if sentences and (single := sum(claim.seeds == 1 for claim in said)):
        if single == len(said):
            which = f"All these {_comparisons(single)}" if single > 1 else "This comparison"
        else:
            which = f"{single} of these {_comparisons(len(said))}"
        sentences.append(f"{which} {'has' if single == 1 else 'have'} one seed.")
    return " ".join(sentences)


def _help(said: Sequence[Claim]) -> Iterator[str]:
    """Whether pretraining helps, compared with random weights."""
    helping = [claim for claim in said if claim.kind == "encoder or none"]
    comparisons = {
        "random weights of the same network": [claim for claim in helping if claim.against == "none"],
        "random weights at their best rate": [claim for claim in helping if claim.best_rate],
    }
    for beside, claims_on_it in comparisons.items():
        brought = [claim.differences["unet.skill"] for claim in claims_on_it]
        if not brought:
            continue
        helps = [skill.value for skill in brought if skill.sign > 0]
        sentence = f"Compared with {beside}, pretraining brings skill in {_of(len(helps), len(brought))}"
        if helps:
            least, most = (claims.number(end) for end in (min(helps), max(helps)))
            sentence += f", from {least} to {most} of it" if least != most else f", {least} of it"
        if costs := sum(skill.sign < 0 for skill in brought):
            sentence += f", and costs some in {costs}"
        yield f"{sentence}."


def _best(table: Table, said: Sequence[Claim]) -> Iterator[str]:
    """On what each network is best pretrained for each target and number of pictures."""
    groups: dict[tuple[str, int, str], dict[str, list[Claim]]] = {}
    for claim in said:
        if claim.kind == "encoder or other":
            architecture = table.encoders[claim.cell].architecture
            alike = groups.setdefault((claim.cell.target, claim.cell.images, architecture), {})
            alike.setdefault(table.but_for_encoder(claim.cell), []).append(claim)
    for (target, images, architecture), alike in groups.items():
        for group in alike.values():
            where = f"For {target} with {claims.count(images)}"
            where += f" in part {group[0].cell.part}" if len(alike) > 1 else ""
            yield f"{where}, {_best_of(table, group, architecture)}."


def _best_of(table: Table, group: Sequence[Claim], architecture: str) -> str:
    """Which of the encoders that were compared is the best, if that is clear."""
    if len({claim.cell.encoder for claim in group}) > 1 or any(
        claim.differences["unet.skill"].sign <= 0 for claim in group
    ):
        return f"it is not clear which pretrained {architecture} is the best"
    compared_with = {claim.against for claim in group}
    lacks = any(_beside(table, claim.cell) - compared_with for claim in group)
    known = table.encoders[group[0].cell].knows
    return f"the best {architecture} is the one pretrained on {known}{', of those compared so far' * lacks}"


def _beside(table: Table, cell: Cell) -> set[str]:
    """The pretrained encoders that the study has beside that of a cell, and that can be compared with it."""
    beside = table.select(part=cell.part, setting=cell.setting, target=cell.target, images=cell.images)
    return {one.encoder for one in beside if table.alike(one, cell)} - {"none", cell.encoder}


def _few(said: Sequence[Claim]) -> Iterator[str]:
    """Whether pretraining helps more where there are fewer pictures."""
    compared = [claim for claim in said if claim.kind == "few or many"]
    beside = {
        "With fewer pictures, pretraining brings more": [
            claim for claim in compared if not claim.against.endswith(claims.AT_OWN_RATE)
        ],
        "Compared with random weights at their best rate, it brings more with fewer pictures": [
            claim for claim in compared if claim.best_rate
        ],
    }
    for begins, claims_on_it in beside.items():
        signs = [claim.differences["unet.skill"].sign for claim in claims_on_it]
        if signs:
            yield f"{begins} in {_of(signs.count(1), len(signs))}, and less in {signs.count(-1)}."


def _lively(said: Sequence[Claim]) -> Iterator[str]:
    """What GANs have more and less of."""
    for against, beside in claims.GAN_AGAINST.items():
        group = [claim for claim in said if claim.kind == "gan" and claim.against == against]
        if not group:
            continue
        parts: list[str] = []
        for metric, (more, less, _) in claims.PAINTED.items():
            signs = [claim.differences[f"gan.{metric}"].sign for claim in group if f"gan.{metric}" in claim.differences]
            for word, sign in ((more, 1), (less, -1)):
                if clear := signs.count(sign):
                    parts.append(f"{word} in {clear if parts else _of(clear, len(signs))}")
        has = claims.listed(parts) if parts else f"clearly more or less of nothing in {_of(len(group), len(group))}"
        yield f"Compared with {beside}, the GAN has {has}."


def _of(part: int, whole: int) -> str:
    return f"{part} of {_comparisons(whole)}"


def _comparisons(number: int) -> str:
    return f"{number} comparison{'s' * (number != 1)}"


def _brought(table: Table) -> list[Picture]:
    """What each encoder brings, a row for each target and number of pictures; the first setting of each part."""
    weigh = claims.weighing(table)
    rows: dict[str, dict[str, Interval]] = {}
    first = [cell for cell in table.select() if cell.setting == table.first_setting(cell.part)]
    cells = [cell for cell in first if cell.encoder != "none" and table.alike(cell, cell._replace(encoder="none"))]
    kinds: dict[tuple[str, int], set[str]] = {}
    for cell in cells:
        if table.runs[cell]:
            kinds.setdefault((cell.target, cell.images), set()).add(table.but_for_encoder(cell))
    for cell in cells:
        without = cell._replace(encoder="none")
        part = f", {cell.part}" if len(kinds.get((cell.target, cell.images), ())) > 1 else ""
        own = table.own_rate(without)
        for beside, note in ((without, ""), (own if own != without else None, ",\nat their own rate")):
            by_seed = table.less(cell, beside, *claims.SKILL) if beside else {}
            if brought := weigh(cell, "encoder or none", "unet.skill", by_seed):
                row = rows.setdefault(f"{cell.target}{part}\n{claims.count(cell.images)}{note}", {})
                row.setdefault(", ".join(table.encoders[cell]), brought)
    if not rows:
        return []
    colours = {", ".join(encoder): table.knowledge.index(encoder.knows) for encoder in table.encoders.values()}
    drawn = charts.dots(rows, "skill that the encoder brings the U-Net, beside random weights", colours)
    caption = (
        "What pretraining brings, by what the encoder knows: to the right of 0 it helps. Bars are 95 % intervals; a "
        "hollow mark has one seed. At their own rate: random weights that learn faster or slower than pretrained "
        "ones, where that was measured and is better for them, on these test pictures."
    )
    return [Picture(url(drawn, "svg+xml"), caption)]


def _gans(table: Table) -> list[Grid]:
    """The GANs that were trained on the same U-Net, beside it and its colours times a gain, of all parts.

    See `Table.together` for what they are means of.
    """
    groups: list[list[Cell]] = []
    for cell in (cell for part in table.values("part") for cell in table.largest(part)):
        if table.figures(cell, "gan", "skill"):
            group = next((group for group in groups if table.same_unet(group[0], cell)), None)
            if group is None:
                groups.append([cell])
            elif not any(table.runs[cell] == table.runs[other] for other in group):
                group.append(cell)
    grids: list[Grid] = []
    for first, *others in groups:
        columns = {WHO[who]: (first, who) for who in ("unet", "unet_gain")}
        for cell in (first, *others):
            name = f"{WHO['gan']}, {cell.setting}"
            columns[f"{name} ({cell.part})" if name in columns else name] = cell, "gan"
        rows = compared(table, list(columns.values()), claims.PAINTED)
        title = f"{first.target}, {table.encoders[first]}, {claims.count(first.images)}"
        if any(grid.title == title for grid in grids):  # of another U-Net
            title += f" ({first.part}, {first.setting})"
        grids.append(Grid(title, list(columns), rows))
    return grids
