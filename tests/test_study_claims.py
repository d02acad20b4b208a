"""What the study says: from made-up figures, sentence by sentence."""

import pytest

from pipeline.study import answers, claims, plan, records
from pipeline.study.cells import Table
from pipeline.study.intervals import Interval
from tests import studies
from tests.studies import experiment, figures, interval, part, study

LITE = {"pretrain.encoder.architecture": "timm/efficientnet_lite0"}


def said(skill, parts=None, seeds=(0, 1, 2), gan=False, kind=None):
    base = study(parts or {"encoders": part()}, seeds)
    found = claims.all_claims(Table(studies.gathered(base, skill, gan)))
    return [claim.sentence for claim in found if kind in (None, claim.kind)]


def by_encoder(**skills):
    """Skill by encoder, a little another for each seed, the same for all encoders."""
    return lambda run: skills[run.params.roles().encoder] + 0.001 * run.params.seed


def test_what_an_encoder_brings_is_said_with_its_interval():
    (first, *_) = said(by_encoder(cifar10=0.2, none=0.1), kind="encoder or none")
    assert first.startswith("On cifar10 with 8,000 pictures: vgg8 pretrained on cifar10 (the same) brings 0.100 (0.09")
    assert first.endswith(" of the U-Net's skill, 0.201 instead of 0.101.")


def in_short(skill, parts=None, gan=False):
    """What the answers say, by question, before their sentences."""
    table = Table(studies.gathered(study(parts or {"encoders": part()}, (0, 1, 2)), skill, gan))
    return {answer.question: answer.short for answer in answers.answers(table, claims.all_claims(table))}


def test_an_answer_begins_with_how_many_comparisons_are_clear():
    parts = {"encoders": part(("none", "1", "cifar10-imagenette"))}
    skills = {"none": 0.1, "cifar10": 0.2, "imagenette": 0.15}
    brings = "What does a pretrained encoder bring?"
    assert in_short(by_encoder(**skills), parts)[brings] == (
        "Compared with random weights of the same network, pretraining brings skill in 2 of 2 comparisons, from "
        "0.050 to 0.100 of it. For cifar10 with 8,000 pictures, the best vgg8 is the one pretrained on "
        "cifar10 (the same). With fewer pictures, pretraining brings more in 0 of 2 comparisons, and less in 0."
    )
    more = {"encoders": part(("none", "1", "cifar10-imagenette", "cifar10-stl10"))}
    lacking = in_short(lambda run: skills.get(run.params.roles().encoder), more)
    assert "the best vgg8 is the one pretrained on cifar10 (the same), of those compared so far." in lacking[brings]
    alike = in_short(by_encoder(**skills | {"cifar10": 0.05, "imagenette": 0.05}), parts)[brings]
    assert alike == (
        "Compared with random weights of the same network, pretraining brings skill in 0 of 2 comparisons, and costs "
        "some in 2. For cifar10 with 8,000 pictures, it is not clear which pretrained vgg8 is the best. With fewer "
        "pictures, pretraining brings more in 0 of 2 comparisons, and less in 0."
    )


def test_what_a_gan_brings_is_said_in_short():
    short = in_short(by_encoder(cifar10=0.2, none=0.1), gan=True)["What does the GAN bring?"]
    assert short.startswith("Compared with the U-Net, the GAN has ")
    assert " in 2 of 2 comparisons" in short
    assert "Compared with the U-Net × gain, the GAN has " in short


def test_what_an_encoder_costs_is_said_without_a_minus():
    (first, *_) = said(by_encoder(cifar10=0.1, none=0.2), kind="encoder or none")
    assert "cifar10 (the same) costs 0.100 (0.09" in first


def test_what_else_an_encoder_clearly_changes_is_said_with_the_skill_and_nothing_that_is_not_clear():
    base = study({"encoders": part(images=(500,))})

    def made(run):
        known = run.params.roles().encoder == "cifar10"
        unet = interval("skill", 0.2 if known else 0.1) | interval("judge_fd", 0.9 if known else 0.5)
        return experiment(run, figures(0.2, gan=False, unet=unet | interval("colourfulness", 13 + 0.001 * known)))

    planned = plan.runs(base)
    table = Table(records.gather(planned, [made(run) for run in planned], studies.CODE, {}))
    first, *_ = claims.all_claims(table)
    assert ", 0.200 instead of 0.100, with pictures less like the real ones to the judge (0.400, 0.39" in first.sentence
    assert "colours" not in first.sentence
    assert list(first.differences) == ["unet.skill", "unet.judge_fd"]


def test_what_different_judges_say_is_not_compared():
    base = study({"encoders": part(images=(500,))})

    def made(run):
        known = run.params.roles().encoder == "cifar10"
        judge = f"{run.params.seed}{known and run.params.seed == 0}"  # seed 0's was trained once more
        found = figures(0.2, gan=False, unet=interval("skill", 0.2) | interval("judge_fd", 0.9 if known else 0.5))
        return experiment(run, found | {"measured_on": {"pictures": 100, "sha256": {"judge": judge}}})

    planned = plan.runs(base)
    table = Table(records.gather(planned, [made(run) for run in planned], studies.CODE, {}))
    first, *_ = claims.all_claims(table)
    assert table.difference(first.cell, first.cell._replace(encoder="none"), "unet", "judge_fd").seeds == 2
    assert {name: difference.seeds for name, difference in first.differences.items()} == {"unet.skill": 3}


def test_settings_are_compared_in_what_as_many_seeds_say():
    base = study({"a": part(("1",), (500,), plain={}, calm={"gan.adversarial_weight": 0})})

    def made(run):
        judge = f"{run.params.seed}{run.places[0].setting if run.params.seed else ''}"
        return experiment(run, figures(0.2) | {"measured_on": {"pictures": 100, "sha256": {"judge": judge}}})

    planned = plan.runs(base)
    table = Table(records.gather(planned, [made(run) for run in planned], studies.CODE, {}))
    (claim,) = (claim for claim in claims.all_claims(table) if claim.kind == "settings")
    assert list(claim.differences) == ["gan.skill", "gan.colourfulness"]
    assert claim.seeds == 3


def test_an_encoder_is_never_compared_with_random_weights_of_another_architecture():
    parts = {"a": part(("none", "cifar10-imagenet"), (500,))}  # vgg8, and EfficientNet-Lite0
    assert said(by_encoder(none=0.1, imagenet=0.2), parts, kind="encoder or none") == []
    parts["a"]["settings"] = {"plain": {"pretrain.encoder.architecture": "timm/efficientnet_lite0"}}
    assert len(said(by_encoder(none=0.1, imagenet=0.2), parts, kind="encoder or none")) == 1


def test_an_encoder_is_also_compared_with_random_weights_that_learn_at_a_better_rate_of_their_own():
    fast = {"gan.epochs": 0, "unet.encoder_learning_rate": 0.004}
    parts = {"encoders": part(images=(500,)), "rates": part(("none",), (500,), fast=fast)}

    def skill(better):
        def of(run):
            if run.params.roles().encoder == "cifar10":
                return 0.2
            return better if run.params.unet.encoder_learning_rate == 0.004 else 0.1

        return of

    plain, own = said(skill(better=0.15), parts, kind="encoder or none")
    assert ": vgg8 pretrained on cifar10 (the same) brings 0.100 (0.09" in plain
    assert own.startswith(
        "On cifar10 with 500 pictures, random weights learning at 0.004, not 0.0004: vgg8 pretrained "
    )
    assert " brings 0.050 (0.04" in own
    assert own.endswith(" of the U-Net's skill, 0.200 instead of 0.150.")
    assert said(skill(better=0.09), parts, kind="encoder or none") == [plain]  # that rate is no better for them
    best_rate = "their best rate, pretraining brings skill in 1 of 1 comparison, 0.050 of it."
    assert best_rate in in_short(skill(better=0.15), parts)["What does a pretrained encoder bring?"]
    best_rate = "their best rate, pretraining brings skill in 1 of 1 comparison, 0.100 of it."
    assert best_rate in in_short(skill(better=0.09), parts)["What does a pretrained encoder bring?"]
    parts["rates"]["settings"] = {"wide": fast | {"unet.dropout": 0.1}}
    assert said(skill(better=0.15), parts, kind="encoder or none") == [plain]  # not the rate alone


def test_no_difference_is_claimed_that_the_pictures_could_have_made():
    (first, *_) = said(by_encoder(cifar10=0.203, none=0.2), kind="encoder or none")
    assert "makes no clear difference: 0.003 (−0.00" in first


def test_no_difference_is_claimed_that_the_seeds_could_have_made():
    def skill(run):
        luck = {0: 0.05, 1: -0.03, 2: 0.01}[run.params.seed] * (run.params.roles().encoder == "cifar10")
        return 0.1 + 0.03 * (run.params.roles().encoder == "cifar10") + luck

    (first, *_) = said(skill, kind="encoder or none")
    assert "makes no clear difference: 0.040 (−0.0" in first
    (lucky, *_) = said(skill, seeds=[0], kind="encoder or none")
    assert "brings 0.080" in lucky  # one seed alone cannot know
    _, lucky = said(
        lambda run: None if run.params.seed and run.params.images == 8000 else skill(run),
        {"few": part(images=(500,)), "many": part(images=(8000,))},  # of the same target
        kind="encoder or none",
    )
    assert "8,000 pictures: vgg8 pretrained on cifar10 (the same) makes no clear difference: 0.080 (−0.0" in lucky


def test_what_is_measured_with_fewer_pictures_is_said_until_there_is_more():
    lacking = {("none", 8000), ("imagenette", 8000)}
    skills = by_encoder(cifar10=0.2, none=0.1, imagenette=0.15)
    sentences = said(
        lambda run: None if (run.params.roles().encoder, run.params.images) in lacking else skills(run),
        {"encoders": part(("none", "1", "cifar10-imagenette"))},
    )
    assert len(sentences) == 3  # each beside random weights, and one beside the other
    assert all(sentence.startswith("On cifar10 with 500 pictures: vgg8 ") for sentence in sentences)


def test_what_runs_say_does_not_hang_on_the_name_of_the_part():
    def found(run):
        far = {"unet": interval("skill", 0.2) | interval("judge_fd", 0.0054 * (run.params.roles().encoder == "none"))}
        return figures(0.2, gan=False, **far)

    parts = {name: part(images=(500,)) for name in "abcdefgh"}
    planned = plan.runs(study(parts, [0]))
    table = Table(records.gather(planned, [studies.experiment(run, found(run)) for run in planned], studies.CODE, {}))
    encoders = [cell for cell in table.runs if cell.encoder == "cifar10"]
    ends = {table.difference(cell, cell._replace(encoder="none"), "unet", "judge_fd") for cell in encoders}
    assert len(encoders) == len(parts)
    assert len(ends) == 1


def test_what_two_parts_say_of_the_same_names_their_part():
    cases = ("none", "1", "cifar10-imagenette", "cifar10-stl10")
    parts = {"a": part(cases[:3], (500,)), "b": part(cases, (500,), plain={"unet.epochs": 2})}

    def skill(run):
        first = {"none": 0.1, "cifar10": 0.2, "imagenette": 0.15}
        second = {"none": 0.1, "cifar10": 0.12, "imagenette": 0.17, "stl10": 0.13}
        skills = second if run.params.unet.epochs == 2 else first
        return skills[run.params.roles().encoder]

    table = Table(studies.gathered(study(parts, (0, 1, 2)), skill, gan=False))
    encoders, *_ = answers.answers(table, claims.all_claims(table))
    told = [claim.sentence for claim in encoders.claims if "cifar10 (the same) brings" in claim.sentence]
    assert [sentence[-9:] for sentence in told] == ["(part a).", "(part b)."]
    ahead = [claim.sentence for claim in encoders.claims if " is ahead of " in claim.sentence]
    assert [sentence[-9:] for sentence in ahead if "stl10" not in sentence] == ["(part a).", "(part b)."]
    assert "500 pictures in part a, the best vgg8 is the one pretrained on cifar10 (the same)." in encoders.short
    assert (
        "500 pictures in part b, the best vgg8 is the one pretrained on imagenette (higher resolution)."
        in encoders.short
    )


def test_a_study_of_one_part_names_none():
    parts = {"a": part(("1",), (500,), plain={}, short={"unet.epochs": 2})}
    table = Table(studies.gathered(study(parts), lambda run: 0.1 * run.params.unet.at(32).epochs))
    found = answers.answers(table, claims.all_claims(table))
    assert found
    assert not [claim.sentence for answer in found for claim in answer.claims if "(part" in claim.sentence]


def test_one_comparison_of_one_seed_is_called_so():
    table = Table(
        studies.gathered(study({"a": part(images=(500,))}, [0]), by_encoder(cifar10=0.2, none=0.1), gan=False)
    )
    (answer,) = answers.answers(table, claims.all_claims(table))
    assert answer.short.endswith("This comparison has one seed.")


def test_nothing_is_said_of_an_encoder_without_a_run_that_has_none():
    assert said(lambda run: None if run.params.roles().encoder == "none" else 0.2) == []


def test_the_best_encoder_is_named_and_whether_it_is_clearly_ahead():
    parts = {"stl10": part(("2", "2-high"), (8000,), alike=LITE)}
    (ahead,) = said(by_encoder(cifar10=0.2, imagenet=0.3), parts, kind="encoder or other")
    assert "efficientnet_lite0 pretrained on imagenet (higher resolution) is ahead of efficientnet_lite0 " in ahead
    assert ahead.endswith(" cifar10 (lower resolution): by 0.100 (0.094 to 0.106) of skill.")
    (close,) = said(by_encoder(cifar10=0.201, imagenet=0.2), parts, kind="encoder or other")
    assert "pretrained on cifar10 (lower resolution) is not clearly ahead of efficientnet_lite0" in close
    assert ": by 0.001 (−0.0" in close
    unlike = {"stl10": part(("2", "2-high"), (8000,))}  # what is ahead may be the network, not what it knows
    assert not said(by_encoder(cifar10=0.2, imagenet=0.3), unlike, kind="encoder or other")


def test_which_encoder_is_ahead_is_said_by_the_seeds_that_both_have():
    def skill(run):
        if run.params.roles().encoder == "imagenet":
            return 0.11 if run.params.seed == 0 else None
        return 0.16 if run.params.seed == 2 else 0.1

    (sentence,) = said(skill, {"stl10": part(("2", "2-high"), (8000,), alike=LITE)}, kind="encoder or other")
    assert ": efficientnet_lite0 pretrained on imagenet (higher resolution) is ahead of efficientnet_lite0 " in sentence
    assert ": by 0.010 (0.0" in sentence


def test_the_best_encoder_is_one_that_can_be_compared_with_the_others():
    parts = {"encoders": part(("1", "cifar10-imagenette", "cifar10-stl10"), (500,))}
    skills = {"cifar10": 0.2, "imagenette": 0.15, "stl10": 0.201}

    def apart(run):  # has no seed in common with the others
        encoder = run.params.roles().encoder
        return skills[encoder] if (encoder == "stl10") == (run.params.seed == 1) else None

    (sentence,) = said(apart, parts, kind="encoder or other")
    assert "pretrained on cifar10 (the same) is ahead of vgg8 pretrained on imagenette" in sentence
    short = in_short(apart, parts)["What does a pretrained encoder bring?"]
    assert "the best vgg8 is the one pretrained on cifar10 (the same), of those compared so far." in short


def test_for_few_pictures_another_encoder_may_be_the_best():
    parts = {"a": part(("1", "cifar10-imagenette"), (500,)), "b": part(("1", "cifar10-imagenette"), (8000,))}

    def skill(run):
        return 0.2 if (run.params.roles().encoder == "cifar10") == (run.params.images == 500) else 0.1

    short = in_short(skill, parts)["What does a pretrained encoder bring?"]
    assert "For cifar10 with 500 pictures, the best vgg8 is the one pretrained on cifar10 (the same)." in short
    assert (
        "For cifar10 with 8,000 pictures, the best vgg8 is the one pretrained on imagenette (higher resolution)."
        in short
    )


def test_settings_are_compared_with_as_many_pictures():
    frozen = {"unet.encoder_learning_rate": 0}
    base = study({"a": part(("1",), plain={}, frozen=frozen)})

    def skill(run):
        slow = not run.params.unet.encoder_learning_rate
        return None if slow and run.params.images == 8000 else 0.1 + 0.1 * (run.params.images == 8000)

    table = Table(studies.gathered(base, skill, gan=False))
    (claim,) = claims.all_claims(table)
    assert claim.sentence.startswith("On cifar10 with 500 pictures")
    assert {cell.images for cell in table.comparable("a")} == {500}


def test_what_gans_on_the_same_unet_have_in_common_tells_nothing_of_how_unets_differ():
    def skill(run):
        return None if run.params.seed and run.params.images == 500 else 0.2

    calm, frozen = {"gan.adversarial_weight": 0}, {"gan.epochs": 0, "unet.encoder_learning_rate": 0}
    parts = {"a": part(("1",), (8000,), plain={}, calm=calm), "b": part(("1",), (500,), plain={}, frozen=frozen)}
    found = claims.all_claims(Table(studies.gathered(study(parts), skill)))
    (claim,) = [claim for claim in found if claim.cell.setting == "frozen" and "unet.skill" in claim.differences]
    assert claim.on_pictures_alone  # of U-Nets nothing else has several seeds
    assert not any(claim.on_pictures_alone for claim in found if claim.cell.setting == "calm")


def test_one_target_says_nothing_of_how_much_another_changes():
    parts = {"tiles": part(("photos",), (8000,), plain={}), "others": part(("1",), (8000,), plain={})}

    def found(run):
        gan = interval("skill", 0.1 * (run.params.seed if run.params.roles().target == "photos32" else 1))
        return experiment(run, figures(0.2, gan_minus_unet=gan))

    planned = [run for run in plan.runs(study(parts)) if run.params.case == "photos" or not run.params.seed]
    table = Table(records.gather(planned, [found(run) for run in planned], studies.CODE, {}))
    tiles, others = (claim for claim in claims.all_claims(table) if claim.against == "unet")
    assert (tiles.on_pictures_alone, others.on_pictures_alone) == (False, True)


def test_where_no_other_rate_was_measured_nothing_is_said_of_the_best_one():
    fast = {"gan.epochs": 0, "unet.encoder_learning_rate": 0.004}
    parts = {"a": part(), "rates": part(("none",), (500,), fast=fast)}
    (sentence,) = said(lambda run: 0.2 if run.params.roles().encoder == "cifar10" else 0.1, parts, kind="few or many")
    assert "at their own rate" not in sentence


def test_the_best_encoder_has_more_skill_than_most_on_the_seeds_that_both_have():
    parts = {"encoders": part(("1", "cifar10-imagenette", "cifar10-stl10"), (500,))}
    skills = {"cifar10": (0.2, 0.1, 0.101), "imagenette": (0.18, 0.08, 0.08), "stl10": (0.15,)}  # which has the luck

    def skill(run):
        own = skills[run.params.roles().encoder]
        return own[run.params.seed] if run.params.seed < len(own) else None

    sentences = said(skill, parts, kind="encoder or other")
    assert len(sentences) == 2
    assert all(": vgg8 pretrained on cifar10 (the same) is ahead of" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("few", "many", "expected"),
    [(0.1, 0.02, "more skill than"), (0.02, 0.1, "less skill than")],
)
def test_whether_an_encoder_brings_more_where_there_are_fewer_pictures(few, many, expected):
    def skill(run):
        brought = few if run.params.images == 500 else many
        return 0.1 + brought * (run.params.roles().encoder == "cifar10")

    (sentence,) = said(skill, kind="few or many")
    assert sentence.startswith("On cifar10 with 500 pictures: vgg8 pretrained on cifar10 (the same) ")
    assert f"brings 0.080 (0.072 to 0.088) {expected} with 8,000 pictures." in sentence


def test_that_is_also_said_beside_random_weights_at_their_own_rate():
    """Which are better with few pictures alone, so that there the encoder brings less than beside slow ones."""
    fast = {"gan.epochs": 0, "unet.encoder_learning_rate": 0.004}
    parts = {"a": part(), "rates": part(("none",), fast=fast)}

    def skill(run):
        if run.params.roles().encoder == "cifar10":
            return 0.2
        return 0.15 if run.params.images == 500 and run.params.unet.encoder_learning_rate == 0.004 else 0.1

    slow, own = said(skill, parts, kind="few or many")
    assert "brings neither clearly more nor less skill (0.000" in slow
    assert "500 pictures, beside random weights at their own rate: vgg8" in own
    assert "brings 0.050 (0.042 to 0.058) less skill than with 8,000 pictures" in own
    short = in_short(skill, parts)["What does a pretrained encoder bring?"]
    assert "With fewer pictures, pretraining brings more in 0 of 1 comparison, and less in 0." in short
    assert (
        "Compared with random weights at their best rate, it brings more with fewer pictures in 0 of 1 comparison, and "
        "less in 1."
    ) in short


def test_settings_are_compared_with_the_first():
    parts = {"a": part(("1",), (8000,), plain={}, frozen={"unet.encoder_learning_rate": 0})}

    def skill(run):
        return 0.2 if run.params.unet.encoder_learning_rate else 0.1

    (sentence,) = said(skill, parts, kind="settings")
    assert "vgg8 pretrained on cifar10 (the same): the U-Net, frozen, has 0.100 (0.09" in sentence
    assert sentence.endswith(" less skill than plain.")
    _, gan = said(skill, parts, gan=True, kind="settings")
    assert "compared with plain, the GAN, frozen, has less skill (0.100, 0.09" in gan


def test_gans_on_the_same_unet_are_compared_and_the_unet_is_not():
    parts = {"a": part(("1",), (8000,), whole={}, **{"without adversary": {"gan.adversarial_weight": 0}})}
    base = study(parts)

    def found(run):
        whole = bool(run.params.gan.adversarial_weight)
        gan = interval("skill", 0.09 if whole else 0.12) | interval("judge_fd", 0.03)
        return experiment(run, {**figures(0.2 + 0.02 * whole), "gan": gan})  # that U-Nets differ is chance

    planned = plan.runs(base)
    table = Table(records.gather(planned, [found(run) for run in planned], studies.CODE, {}))
    (sentence,) = [claim.sentence for claim in claims.all_claims(table) if claim.kind == "settings"]
    assert "compared with whole, the GAN, without adversary, has more skill (0.030, 0.02" in sentence
    assert "and pictures that are not clearly more or less like the real ones to the judge (0.000, " in sentence


def test_the_gan_is_compared_with_the_unet_and_with_the_plainest_way_to_lively_colours():
    first, second = said(by_encoder(cifar10=0.2), {"a": part(("1",), (8000,))}, gan=True, kind="gan")
    assert (
        "compared with the U-Net, the GAN has less skill (0.100, 0.096 to 0.104), livelier colours (15.000, " in first
    )
    assert "and pictures that are not clearly more or less like the real ones to the judge (−0.001, −0.0" in first
    assert "compared with the U-Net × gain, the GAN has more skill (0.12" in second
    assert "and pictures more like the real ones to the judge (0.140, 0.136 to 0.144)." in second


def test_without_a_gan_nothing_is_said_of_one():
    assert said(by_encoder(cifar10=0.2), {"a": part(("1",), (8000,))}, kind="gan") == []


NUMBERS = [(-0.0001, "0.000"), (-0.0006, "−0.001"), (-12.345, "−12.3"), (0, "0.000")]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_a_number_has_a_minus_only_where_it_shows_that_it_is_below_0(value, text):
    assert claims.number(value) == text


@pytest.mark.parametrize(
    ("ends", "texts"),
    [
        ((0.0047, 0.0043, 0.0051), ("0.0047", "0.0043", "0.0051")),
        ((28.64, 28.3, 29.0), ("28.6", "28.3", "29.0")),
        ((0.1731, 0.159, 0.185), ("0.173", "0.159", "0.185")),
        ((1234.5, 1200, 1300), ("1234", "1200", "1300")),
        ((0.0013, 0.0002, 0.0024), ("0.0013", "0.0002", "0.0024")),  # clearly above 0
    ],
)
def test_a_figure_has_as_many_digits_as_its_interval(ends, texts):
    assert claims.numbers(Interval(*ends, 1)) == texts


def test_a_claim_is_a_row_for_each_figure_that_it_speaks_of():
    base = study({"a": part(("1",), (8000,))})
    (first, _) = claims.all_claims(Table(studies.gathered(base, by_encoder(cifar10=0.2))))
    assert [row["figure"] for row in first.rows()] == ["gan.skill", "gan.colourfulness", "gan.judge_fd"]
    assert first.rows()[0]["value"] == pytest.approx(-0.1)
    assert {row["sentence"] for row in first.rows()} == {first.sentence}


def test_what_is_missing_counts_in_no_mean_and_has_a_record():
    base = study({"a": part(("1",), (8000,))})
    gathered = studies.gathered(base, lambda run: None if run.params.seed == 1 else 0.2)
    assert [record.status for record in gathered] == [records.MEASURED, records.MISSING, records.MEASURED]
    (cell,) = (table := Table(gathered)).runs
    assert table.mean(cell, "unet", "skill").seeds == 2


def test_what_different_judges_say_does_not_stand_side_by_side():
    planned = plan.runs(study({"a": part(("1", "none"), (8000,))}, seeds=[0, 1]))
    digests = iter(["j0", "j0", "j1", "another"])
    made = []
    for run in sorted(planned, key=lambda run: run.params.seed):
        found = figures(0.2 if run.params.seed else 0.3, gan=False)
        found["measured_on"] = {"pictures": 100, "sha256": {"judge": next(digests)}}
        made.append(experiment(run, found))
    table = Table(records.gather(planned, made, studies.CODE, {}))
    columns = [(cell, "unet") for cell in table.select()]
    assert [value.seeds for value in table.together(columns, "judge_fd")] == [1, 1]
    assert [value.seeds for value in table.together(columns, "skill")] == [2, 2]
    alone = [record for record in records.gather(planned, made, studies.CODE, {}) if record.planned.seed == 1]
    table = Table(alone)
    columns = [(cell, "unet") for cell in table.select()]
    assert table.together(columns, "judge_fd") == [None, None]
    assert None not in table.together(columns, "skill")
