"""What the study says, in sentences that follow from its figures by rules.

A difference is claimed if its interval is on one side of 0; else the sentence says that none is clear.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import fmean
from typing import Any

from pipeline.study import intervals
from pipeline.study.cells import Cell, Table
from pipeline.study.elements import WHO
from pipeline.study.intervals import Figure, Interval

SKILL = ("unet", "skill")
PAINTED = {  # figures in words: if more, if less, and if neither is clear
    "skill": ("more skill", "less skill", "skill that is not clearly more or less"),
    "colourfulness": ("livelier colours", "paler colours", "colours that are not clearly livelier or paler"),
    "judge_fd": (
        "pictures less like the real ones to the judge",
        "pictures more like the real ones to the judge",
        "pictures that are not clearly more or less like the real ones to the judge",
    ),
}
GAN_AGAINST = {who: f"the {WHO[who]}" for who in ("unet", "unet_gain")}  # with what a GAN is compared
MOST_DIGITS = 6  # after the point
AT_OWN_RATE = ", beside random weights at their own rate"
ALSO_SAID = "colourfulness", "judge_fd"  # which are said of a U-Net where they are clear
COLUMNS = ["kind", *Cell._fields, "against", "figure", *Interval._fields, "sentence"]


# Of a cell, a kind of claims, a figure, and a difference of it by seed: its mean, None if there is none.
Weigh = Callable[[Cell, str, str, Mapping[int, Figure]], Interval | None]


@dataclass(frozen=True)
class Claim:
    """A sentence, and what it follows from.

    kind: of what question it is the answer.
    cell: what it speaks of.
    against: with what that is compared.
    differences: name of a figure, as unet.skill → by how much it differs.
    sentence: what the page says.
    best_rate: whether it is against random weights at the rate that is best for them, of several.
    """

    kind: str
    cell: Cell
    against: str
    differences: dict[str, Interval]
    sentence: str
    best_rate: bool = False

    @property
    def seeds(self) -> int:
        """Over how many of them the differences were taken."""
        return min(interval.seeds for interval in self.differences.values())

    @property
    def on_pictures_alone(self) -> bool:
        """Whether nothing is known of how much another seed would change any of it."""
        return not all(interval.freedom for interval in self.differences.values())

    def rows(self) -> list[dict[str, Any]]:
        """As rows of a table, one a figure."""
        return [
            {"kind": self.kind, **self.cell._asdict(), "against": self.against, "figure": name}
            | interval._asdict()
            | {"sentence": self.sentence}
            for name, interval in self.differences.items()
        ]


def all_claims(table: Table) -> list[Claim]:
    """All that can be said, in the order of the study."""
    return _claims(table, weighing(table))


@lru_cache(maxsize=1)  # sentences and their chart want the same
def weighing(table: Table) -> Weigh:
    """What gives a difference its interval, by all differences that the study claims something of.

    A difference of one or two seeds cannot tell how much another seed would change it. It is taken to be as much as
    those of the same figure on the same target change that have several seeds: those of the same kind, or else of all
    kinds. From target to target that differs too much. Differences of one U-Net, such as of its GANs, count as one.
    """
    found: dict[tuple[str, str], dict[str, dict[str, list[Mapping[int, Figure]]]]] = {}

    def gather(cell: Cell, kind: str, figure: str, by_seed: Mapping[int, Figure]) -> Interval | None:
        if by_seed:
            unets = found.setdefault((cell.target, figure), {}).setdefault(kind, {})
            unets.setdefault(json.dumps(table.unet(cell), sort_keys=True), []).append(by_seed)
        return intervals.mean(by_seed)

    def weigh(cell: Cell, kind: str, figure: str, by_seed: Mapping[int, Figure]) -> Interval | None:
        kinds = found.get((cell.target, figure), {})
        of_all = (differences for unets in kinds.values() for differences in unets.values())
        usual = intervals.pooled(kinds.get(kind, {}).values()) or intervals.pooled(of_all)
        return intervals.mean(by_seed, usual)

    _claims(table, gather)
    return weigh


def _claims(table: Table, weigh: Weigh) -> list[Claim]:
    found = []
    for part in table.values("part"):
        for rule in (_encoder_or_none, _encoder_or_other, _few_or_many, _settings, _gan):
            found += rule(table, part, weigh)
    return found


def _groups(table: Table, part: str) -> list[dict[str, str]]:
    """Part, setting and target of each group of cells that differ in the encoder and the number of pictures alone."""
    return [
        {"part": part, "setting": setting, "target": target}
        for setting in table.values("setting", part=part)
        for target in table.values("target", part=part, setting=setting)
    ]


def _with_most(cells: Sequence[Cell], rule: Callable[[Sequence[Cell]], list[Claim]]) -> list[Claim]:
    """What a rule says of the cells with most pictures; if that is nothing, of those with the next smaller number."""
    for images in sorted({cell.images for cell in cells}, reverse=True):
        if found := rule([cell for cell in cells if cell.images == images]):
            return found
    return []


def _encoder_or_none(table: Table, part: str, weigh: Weigh) -> list[Claim]:
    """What does each pretrained encoder bring, also beside random weights that learn at a better rate of their own?"""
    found = []
    for group in _groups(table, part):
        for encoder in table.values("encoder", **group):
            if encoder != "none":
                found += _with_most(table.select(**group, encoder=encoder), partial(_beside_none, table, weigh))
    return found


def _beside_none(table: Table, weigh: Weigh, cells: Sequence[Cell]) -> list[Claim]:
    """What the pretrained encoder of one cell brings beside random weights, at both rates."""
    (cell,) = cells
    without = cell._replace(encoder="none")
    if not table.alike(cell, without):
        return []
    own = table.own_rate(without)
    found = _brings(table, weigh, cell, without, "none", best_rate=own == without)
    if own and own != without:
        rates = f"at {table.encoder_rate(own):g}, not {table.encoder_rate(without):g}"
        condition = f", random weights learning {rates}"
        found += _brings(table, weigh, cell, own, "none, at its own rate", condition, best_rate=True)
    return found


def _brings(
    table: Table, weigh: Weigh, cell: Cell, without: Cell, against: str, condition: str = "", *, best_rate: bool
) -> list[Claim]:
    """What a pretrained encoder brings beside one of random weights; nothing, if no seed has both."""
    kind = "encoder or none"
    if not (brought := weigh(cell, kind, "unet.skill", table.less(cell, without, *SKILL))):
        return []
    verb = {1: "brings", -1: "costs", 0: "makes no clear difference:"}[brought.sign]
    sentence = (
        f"{where(table, cell)}{condition}: {table.encoders[cell]} {verb} {bracketed(brought)} "
        f"of the U-Net's skill, {_means(table, cell, without)}"
    )
    others = {
        metric: weigh(cell, kind, f"unet.{metric}", table.less(cell, without, "unet", metric)) for metric in ALSO_SAID
    }
    # Of as many seeds, for an interval of fewer may lack their chance, and is the sooner clear.
    clear = {metric: other for metric, other in others.items() if other and other.sign and other.seeds == brought.seeds}
    if clear:
        sentence += f", with {listed([_said(metric, other) for metric, other in clear.items()])}"
    differences = {"unet.skill": brought} | {f"unet.{metric}": other for metric, other in clear.items()}
    return [Claim(kind, cell, against, differences, f"{sentence}.", best_rate)]


def _means(table: Table, cell: Cell, without: Cell) -> str:
    """The skill of two cells, over the seeds that both have."""
    first, second = table.figures(cell, *SKILL), table.figures(without, *SKILL)
    both = first.keys() & second.keys()
    values = [fmean(figures[seed].value for seed in both) for figures in (first, second)]
    return " instead of ".join(map(number, values))


def _encoder_or_other(table: Table, part: str, weigh: Weigh) -> list[Claim]:
    """Which pretrained encoder is the best, and is it clearly better than each of the others?"""
    found = []
    for group in _groups(table, part):
        known = [cell for cell in table.select(**group) if cell.encoder != "none"]
        for architecture in dict.fromkeys(table.encoders[cell].architecture for cell in known):
            alike = [cell for cell in known if table.encoders[cell].architecture == architecture]
            found += _with_most(alike, partial(_best_beside_others, table, weigh))
    return found


def _best_beside_others(table: Table, weigh: Weigh, cells: Sequence[Cell]) -> list[Claim]:
    """The best of some cells that differ in what their encoders were pretrained on, beside each of the others.

    It is one of those that can be compared with most others, for they have a seed in common, and of these one that has
    more skill than most.
    """
    skills = {cell: own for cell in cells if (own := table.figures(cell, *SKILL))}
    places = {}
    for cell, own in skills.items():
        beside = [ahead for other in skills if (ahead := table.difference(cell, other, *SKILL))]
        mean = fmean(one.value for one in own.values())
        places[cell] = len(beside), sum(ahead.value > 0 for ahead in beside), mean
    if not places:
        return []
    best = max(places, key=lambda cell: places[cell])
    found = []
    for cell in places:
        ahead = weigh(cell, "encoder or other", "unet.skill", table.less(best, cell, *SKILL)) if cell != best else None
        if not ahead:
            continue
        first, second = best, cell
        if ahead.value < 0:  # of the seeds that both have the other is the better one
            first, second, ahead = second, first, -ahead
        verb = "is ahead of" if ahead.sign > 0 else "is not clearly ahead of"
        sentence = (
            f"{where(table, cell)}: {table.encoders[first]} {verb} {table.encoders[second]}: "
            f"by {bracketed(ahead)} of skill."
        )
        found.append(Claim("encoder or other", first, second.encoder, {"unet.skill": ahead}, sentence))
    return found


def _few_or_many(table: Table, part: str, weigh: Weigh) -> list[Claim]:
    """Does an encoder bring more where there are fewer pictures?"""
    found = []
    for group in _groups(table, part):
        for encoder in table.values("encoder", **group):
            cells = table.select(**group, encoder=encoder)
            known = [cell for cell in cells if _brought(table, cell, cell._replace(encoder="none"))]
            if encoder != "none" and len(known) > 1:
                few, many = (pick(known, key=lambda cell: cell.images) for pick in (min, max))
                found += _few_beside_many(table, weigh, few, many)
    return found


def _few_beside_many(table: Table, weigh: Weigh, few: Cell, many: Cell) -> list[Claim]:
    """By how much more an encoder brings with few pictures than with many, beside random weights at both rates."""
    alike = [cell._replace(encoder="none") for cell in (few, many)]
    own = [rate for cell in alike if (rate := table.own_rate(cell))]
    beside = [("", alike)]
    if len(own) == 2 and own != alike:  # else for one of them no other rate was measured
        beside.append((AT_OWN_RATE, own))
    found = []
    for note, (few_without, many_without) in beside:
        brought = intervals.less(_brought(table, few, few_without), _brought(table, many, many_without))
        if more := weigh(few, "few or many", "unet.skill", brought):
            brings = f"{table.encoders[few]} brings {_more_or_less(more)} with {count(many.images)}"
            sentence = f"{where(table, few)}{note}: {brings}."
            against = f"{many.images} pictures{note}"
            best = bool(note) or own == alike
            found.append(Claim("few or many", few, against, {"unet.skill": more}, sentence, best))
    return found


def _brought(table: Table, cell: Cell, without: Cell) -> dict[int, Figure]:
    """What an encoder brings beside random weights of the same network, by seed."""
    return table.less(cell, without, *SKILL) if table.alike(cell, without) else {}


def _settings(table: Table, part: str, weigh: Weigh) -> list[Claim]:
    """What does each setting bring the U-Net, and the GAN, beside the first one?"""
    first = table.first_setting(part)
    found = []
    for cell in table.comparable(part):
        base = cell._replace(setting=first)
        if cell.setting == first or base not in table.runs:
            continue
        by_seed = table.less(cell, base, *SKILL)
        brought = None
        if by_seed and not table.same_unet(cell, base):
            brought = weigh(cell, "settings", "unet.skill", by_seed)
        start = f"On {cell.target} with {count(cell.images)} and {table.encoders[cell]}"
        if brought:
            sentence = f"{start}: the U-Net, {cell.setting}, has {_more_or_less(brought)} {first}."
            found.append(Claim("settings", cell, first, {"unet.skill": brought}, sentence))
        differences = {
            metric: weigh(cell, "settings", f"gan.{metric}", table.less(cell, base, "gan", metric))
            for metric in PAINTED
        }
        seeds = {difference.seeds for difference in differences.values() if difference}
        differences = {
            metric: difference
            for metric, difference in differences.items()
            if difference and difference.seeds == max(seeds)
        }
        begins = f"{start}: compared with {first}, the GAN, {cell.setting},"
        found += _gan_claim("settings", cell, first, differences, begins)
    return found


def _more_or_less(skill: Interval) -> str:
    """By how much there is more of it, or less, than elsewhere, or that neither is clear."""
    if not skill.sign:
        return f"neither clearly more nor less skill ({amount(skill)}) than"
    return f"{bracketed(skill)} {'more' if skill.sign > 0 else 'less'} skill than"


def _gan(table: Table, part: str, weigh: Weigh) -> list[Claim]:
    """What does the GAN bring beside the U-Net, and beside the U-Net's colours times a gain?"""
    found = []
    for cell in table.largest(part):
        for other, name in GAN_AGAINST.items():
            differences = {
                metric: weigh(cell, f"gan or {other}", metric, table.figures(cell, f"gan_minus_{other}", metric))
                for metric in PAINTED
            }
            start = f"{where(table, cell)}, {table.encoders[cell]}: compared with {name}, the GAN"
            found += _gan_claim("gan", cell, other, differences, start)
    return found


def _gan_claim(
    kind: str, cell: Cell, against: str, differences: Mapping[str, Interval | None], start: str
) -> list[Claim]:
    """What a GAN has beside something else, as a sentence with that start; none where nothing was measured."""
    brought = {metric: difference for metric, difference in differences.items() if difference}
    if not brought:
        return []
    said = [_said(metric, difference) for metric, difference in brought.items()]
    named_differences = {f"gan.{metric}": difference for metric, difference in brought.items()}
    return [Claim(kind, cell, against, named_differences, f"{start} has {listed(said)}.")]


def _said(metric: str, difference: Interval) -> str:
    more, less, unclear = PAINTED[metric]
    return f"{ {1: more, -1: less, 0: unclear}[difference.sign] } ({amount(difference)})"


def listed(items: list[str]) -> str:
    """Items with commas, and an `and` before the last."""
    *first, last = items
    return f"{', '.join(first)}, and {last}" if first else last


def where(table: Table, cell: Cell) -> str:
    """The target, the number of pictures, and the setting if there are several."""
    settings = table.values("setting", part=cell.part)
    setting = f", {cell.setting}" if len(settings) > 1 else ""
    return f"On {cell.target} with {count(cell.images)}{setting}"


def count(images: int) -> str:
    """So many pictures, in words."""
    return f"{images:,} picture{'s' * (images != 1)}"


def number(value: float, digits: int | None = None) -> str:
    """With a minus that is one, and so many digits after the point: by default three, or three digits in all."""
    digits = _digits(value) if digits is None else digits
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0, lest 0 have a minus


def _digits(largest: float) -> int:
    return 3 if abs(largest) < 1 else max(0, 2 - math.floor(math.log10(abs(largest))))


def numbers(interval: Interval) -> tuple[str, str, str]:
    """A figure and the ends of its interval, with as many digits, enough to tell the ends apart, and from 0."""
    ends = interval[:3]
    digits = _digits(max(map(abs, ends)))
    for told in (interval.high - interval.low, *map(abs, interval[1:3])):
        if told > 0:
            digits = max(digits, min(MOST_DIGITS, -math.floor(math.log10(told))))
    value, low, high = (number(end, digits) for end in ends)
    return value, low, high


def amount(interval: Interval) -> str:
    """By how much, and the interval; turned to above 0 if it is clearly below, for then the words say so."""
    value, low, high = numbers(-interval if interval.sign < 0 else interval)
    return f"{value}, {low} to {high}"


def bracketed(interval: Interval) -> str:
    """As `amount`, with the interval in brackets."""
    value, ends = amount(interval).split(", ")
    return f"{value} ({ends})"
