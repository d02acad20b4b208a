"""Which runs the study is made of."""

from pathlib import Path

import pytest
import yaml

from pipeline import params
from pipeline.study import plan
from pipeline.system.errors import ParamsError

PARAMS = yaml.safe_load(Path("params.yaml").read_text())


def study(parts: dict, seeds=(0, 1), **changes):
    content = PARAMS | changes | {"study": {"seeds": list(seeds), "parts": parts}}
    return params.check(params.read(yaml.safe_dump(content).encode(), "params.yaml"), "params.yaml")


def part(cases=("1",), images=(500,), **settings):
    return {"cases": list(cases), "images": list(images), "settings": settings or {"plain": {}}}


def test_a_part_is_each_of_its_cases_with_each_number_of_pictures_each_setting_and_each_seed():
    runs = plan.runs(study({"all": part(("1", "none"), (500, 2000), plain={}, short={"unet.epochs": 2})}))
    assert len(runs) == 2 * 2 * 2 * 2
    assert [run.overrides["seed"] for run in runs] == [0] * 8 + [1] * 8
    assert len({run.name for run in runs}) == len(runs)
    short = next(run for run in runs if run.places[0].setting == "short")
    assert short.overrides == {"case": "1", "images": 500, "seed": 0, "unet.epochs": "2"}
    assert (short.params.unet.epochs, short.params.images, short.params.roles().encoder) == (2, 500, "cifar10")


def test_what_two_parts_share_is_one_run_that_both_have():
    size = PARAMS["unet"]["batch_size"][32]
    (run,) = plan.runs(study({"a": part(), "b": part(said={"unet.batch_size": size})}, seeds=[3]))
    assert run.places == [("a", "plain", 0), ("b", "said", 1)]


def test_a_run_is_the_same_by_whatever_name_its_case_goes_and_whatever_else_stands_in_params_yaml():
    first = study({"a": part()})
    cases = PARAMS["cases"] | {"same": PARAMS["cases"]["1"], "other": {"target": "stl10", "encoder": "none"}}
    datasets = PARAMS["datasets"] | {"folder": {"path": "elsewhere", "size": 32}}
    second = study({"b": part()}, cases=cases, datasets=datasets, case="same")
    assert plan.key(first) == plan.key(second)
    for other in ({"case": "none"}, {"seed": 5}, {"images": 7}, {"unet": PARAMS["unet"] | {"zoom": 0}}):
        assert plan.key(study({}, **other)) != plan.key(first)


def test_of_numbers_for_several_sides_only_those_for_the_targets_count():
    keys = [plan.key(study({}, unet=PARAMS["unet"] | {"epochs": number})) for number in (9, {32: 9, 96: 3}, {16: 9})]
    assert len(set(keys)) == 1
    assert plan.key(study({}, unet=PARAMS["unet"] | {"epochs": {16: 9, 32: 8}})) != keys[0]


def test_the_parameters_of_an_encoder_count_only_where_it_is_trained():
    for case, same in (("1", 0), ("none", 1), ("cifar10-imagenet", 2)):
        parts = {"a": part((case,), plain={}, longer={"pretrain.encoder.epochs": 9})}
        parts["b"] = part((case,), other={"pretrain.encoder.architecture": "resnet18"})
        assert len({one.key for one in plan.runs(study(parts, [0]))}) == 3 - same


def test_the_parameters_of_a_gan_count_only_where_there_is_one():
    alone, other = (plan.key(study({}, gan=PARAMS["gan"] | {"epochs": 0, "filters": filters})) for filters in (8, 16))
    assert alone == other
    first, second = (plan.key(study({}, gan=PARAMS["gan"] | {"filters": filters})) for filters in (8, 16))
    assert len({alone, first, second}) == 3


def test_the_side_that_a_case_gives_counts():
    sized = [{"target": "imagenette", "encoder": "none"} | size for size in ({}, {"size": 64}, {"size": 96})]
    keys = [plan.key(study({}, case="x", cases=PARAMS["cases"] | {"x": case})) for case in sized]
    assert PARAMS["datasets"]["imagenette"]["size"] == 96
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"unet.epoch": 1}, "params.yaml: study.parts.a.settings.odd: unet.epoch: unknown key, allowed: epochs,"),
        ({"unet.epochs": 0}, "params.yaml: study.parts.a.settings.odd: unet.epochs: given '0', allowed: greater"),
        ({"unet": None}, "study.parts.a.settings.odd: given unet, allowed: names of parameters, such as unet.epochs"),
        ({"unet.dropout.x": 1}, "study.parts.a.settings.odd: given unet.dropout.x, allowed: names of parameters"),
        ({"nothing.epochs": 1}, "study.parts.a.settings.odd: given nothing.epochs, allowed: names of parameters"),
        ({"unet.epochs.32": 1}, "study.parts.a.settings.odd: given unet.epochs.32, allowed: names of parameters"),
        ({"seed": 1}, "study.parts.a.settings.odd: given seed, allowed: all but case, cases, images, seed, study"),
        ({"study.seeds": 1}, "study.parts.a.settings.odd: given study.seeds, allowed: all but"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_in_one_line(values, expected):
    with pytest.raises(ParamsError) as caught:
        plan.runs(study({"a": part(odd=values)}))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cases": ["1", "7"]}, "params.yaml: study.parts.a.cases: given '7', allowed: 1, 2, 2-high,"),
        ({"cases": []}, "params.yaml: study.parts.a.cases: given [], allowed: a list, 1 or more"),
        ({"cases": ["1", "1"]}, "params.yaml: study.parts.a.cases: given ['1', '1'], allowed: each once"),
        ({"images": [0]}, "params.yaml: study.parts.a.images.0: given '0', allowed: greater than or equal to 1"),
        ({"epochs": 3}, "params.yaml: study.parts.a.epochs: unknown key, allowed: cases, images, settings"),
        ({"settings": {}}, "params.yaml: study.parts.a.settings: given {}, allowed: names with keys, 1 or more"),
    ],
)
def test_the_section_is_checked_with_all_others(changes, expected):
    with pytest.raises(ParamsError) as caught:
        study({"a": part() | changes})
    assert expected in str(caught.value)
