import copy
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from pipeline import params
from pipeline.system.errors import ParamsError

PARAMS = yaml.safe_load(Path("params.yaml").read_text())


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    """params.yaml with one value changed; the key's parts are joined by dots."""
    content = copy.deepcopy(PARAMS)
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_the_committed_file_is_valid_and_names_the_roles():
    checked = params.load()
    assert (checked.roles().target, checked.roles().encoder) == ("cifar10", "cifar10")


def test_every_case_in_the_file_can_be_set(tmp_path):
    for case in PARAMS["cases"]:
        assert params.load(changed(tmp_path, "case", case)).case == str(case)


def test_each_data_set_is_a_target_with_each_encoder_in_one_case():
    pairs = [(case["target"], case["encoder"]) for case in PARAMS["cases"].values() if "size" not in case]
    assert len(set(pairs)) == len(pairs)
    targets = "cifar10", "stl10", "imagenette"
    assert {(target, encoder) for target in targets for encoder in (*targets, "none", "imagenet")} <= set(pairs)


def test_figures_for_which_weights_would_be_fetched_are_not_asked_for():
    assert params.load().evaluate.published == []


def test_numbers_that_dvc_writes_in_scientific_notation_are_numbers(tmp_path):
    assert params.load(changed(tmp_path, "unet.learning_rate", "1e-05")).unet.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "unet.epochz",
            3,
            "unet.epochz: unknown key, allowed: epochs, batch_size, learning_rate, encoder_learning_rate,",
        ),
        ("speed", 3, "speed: unknown key, allowed: case, cases, seed,"),
        ("unet.epochs", "many", "unet.epochs: given 'many', allowed: an integer"),
        ("unet.epochs", 0, "unet.epochs: given '0', allowed: greater than or equal to 1"),
        ("unet.epochs", 2.5, "unet.epochs: given '2.5', allowed: an integer"),
        ("unet.epochs", True, "unet.epochs: given 'true', allowed: an integer"),
        ("unet.epochs", {32: 9, 96: 0}, "unet.epochs.96: given '0', allowed: greater than or equal to 1"),
        ("unet.epochs", {"large": 9}, "unet.epochs.large: given 'large', allowed: a side in pixels, such as 96"),
        ("unet.epochs", {"032": 9}, "unet.epochs.032: given '032', allowed: a side in pixels, such as 96"),
        ("unet.epochs", {}, "unet.epochs: given {}, allowed: sides in pixels with a number each, 1 or more"),
        ("unet.epochs", [9], "unet.epochs: given ['9'], allowed: an integer"),
        ("unet.dropout", {32: 0.1}, "unet.dropout: given {'32': '0.1'}, allowed: a number"),
        ("unet.batch_size", 3, "unet.batch_size: given '3', allowed: greater than or equal to 4"),
        ("unet.half_size", 1, "unet.half_size: given '1', allowed: less than 1"),
        ("unet.learning_rate", 1.5, "unet.learning_rate: given '1.5', allowed: less than or equal to 1"),
        ("unet.learning_rate", float("nan"), "unet.learning_rate: given '.nan', allowed: a number"),
        ("gan.l1_weight", -1, "gan.l1_weight: given '-1', allowed: greater than or equal to 0"),
        ("case", 3, "case: given '3', allowed: 1, 2, 2-high, none, cifar10-stl10,"),
        ("cases.1.target", "cifar100", "cases.1.target: given 'cifar100', allowed: cifar10, stl10, imagenette,"),
        ("cases.1.encoder", "vgg", "cases.1.encoder: given 'vgg', allowed: cifar10, stl10, imagenette, photos32,"),
        ("cases.1", "cifar10", "cases.1: given 'cifar10', allowed: the keys target, encoder, size"),
        ("cases.1.size", 64, "cases.1.size: given 64 for cifar10, allowed: none, for only imagenette and folder have"),
        ("cases.photograph.size", 161, "cases.photograph.size: given 161 for imagenette, allowed: up to 160"),
        ("unet", None, "unet: given None, allowed: the keys epochs, batch_size, learning_rate, encoder_learning_rate,"),
        ("datasets.cifar10.checksum", "md5:12", "datasets.cifar10.checksum: given 'md5:12', allowed: md5: and 32"),
        ("datasets.cifar10.urls", "http://x", "datasets.cifar10.urls: given 'http://x', allowed: a list"),
        ("datasets.cifar10.urls", [], "datasets.cifar10.urls: given [], allowed: a list, 1 or more"),
        ("pretrain.judge.architecture", "vgg8", "given 'vgg8', allowed: another than that of pretrain.features"),
        ("pretrain.judge.architecture", "vgg", "given 'vgg', allowed: vgg8, resnet20, resnet18, resnet34"),
        ("seed", -1, "seed: given '-1', allowed: greater than or equal to 0"),
        ("evaluate.published", "lpips", "evaluate.published: given 'lpips', allowed: a list"),
        ("evaluate.published", ["fid"], "evaluate.published.0: given 'fid', allowed: inception, lpips"),
    ],
)
def test_a_bad_value_gives_one_line_with_key_given_and_allowed(tmp_path, key, value, expected):
    with pytest.raises(ParamsError) as caught:
        params.load(changed(tmp_path, key, value))
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(("side", "epochs"), [(16, 9), (32, 9), (95, 9), (96, 3), (256, 3)])
def test_a_number_may_depend_on_the_side_of_the_pictures_from_which_on_it_holds(tmp_path, side, epochs):
    checked = params.load(changed(tmp_path, "unet.epochs", {96: 3, 32: 9})).at(side)
    assert checked.unet.epochs == epochs
    assert checked.unet.dropout == PARAMS["unet"]["dropout"]


def test_a_number_for_all_sides_stays_what_it_is(tmp_path):
    checked = params.load(changed(tmp_path, "gan.epochs", 5))
    assert checked.gan.epochs == checked.at(96).gan.epochs == 5


def written(tmp_path: Path, line: str, text: str) -> Path:
    """params.yaml as it is committed, one line of it replaced by a text."""
    content = Path("params.yaml").read_text()
    assert content.count(f"\n{line}\n") == 1
    path = tmp_path / "params.yaml"
    path.write_text(content.replace(f"\n{line}\n", f"\n{text}\n"), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("'7'", 7),
        ("007", 7),
        ("+7", 7),
        ("7.0", 7),
        ("1_000", 1000),
        ("!!int 7", 7),
        ("4294967295", 2**32 - 1),
    ],
)
def test_a_number_has_the_value_that_its_text_says(tmp_path, text, expected):
    assert params.load(written(tmp_path, "seed: 0", f"seed: {text}")).seed == expected


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "on", "true", "null", "~", "", "0x10", "0o17", "1:30", "1e400", "Infinity", ".inf", "nan", "7.5"),
        *("2026-11-23", "[7]", "{seed: 7}", "7 8", "!!python/object/apply:os.getcwd []", "4294967296", "9" * 5000),
        *("[" * 60 + "]" * 60, '"7\\n8"', '"\\ud800"', "१२"),
    ],
)
def test_what_is_no_such_number_is_refused_by_name(tmp_path, text):
    with pytest.raises(ParamsError, match=r"^[^\n]*seed: given [^\n]*, allowed: [^\n]*$") as caught:
        params.load(written(tmp_path, "seed: 0", f"seed: {text}"))
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 0\nseed: 1", "'seed' is there twice"),
        ("seed: 0\n'seed': 1", "'seed' is there twice"),
        ("seed: 0\n? [a, b]\n: 1", "a key that is no word"),
        ("mine: &a {x: 1}\nother: {<<: *a}", "<<, which is not read here"),
        ("seed: 0\n<<: {seed: 1}", "<<, which is not read here: write its keys out"),
        ('seed: 0\n"two\\nlines": 1', r"'two\nlines': unknown key"),
        ("seed: 0\n---\nseed: 1", "expected a single document"),
        ("seed:\t0\n\timages: 1", "not YAML"),
        ("seed: " + "[" * 1000, "within each other"),
        ("seed: *nobody", "not YAML"),
        ("seed: &a [*a]", "not YAML"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(ParamsError) as caught:
        params.load(written(tmp_path, "seed: 0", text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_of_aliases_take_neither_time_nor_memory(tmp_path):
    laughs = ["seed: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    laughs += [f"more{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 20)]
    with pytest.raises(ParamsError, match=r"seed: given \["):
        params.load(written(tmp_path, "seed: 0", "\n".join(laughs)))


@pytest.mark.parametrize("path", ["''", '"a\\0b"', '"a\\nb"'])
def test_paths_and_urls_are_text_that_can_be_one(tmp_path, path):
    with pytest.raises(ParamsError, match=r"datasets.folder.path: given .*, allowed: text without line breaks"):
        params.load(written(tmp_path, "    path: data/folder", f"    path: {path}"))


def leaves(section: type[BaseModel], content: dict[str, Any], *before: str) -> list[tuple[str, ...]]:
    """The keys of all values in params.yaml, as the schema has them."""
    keys = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += leaves(inner, content[name], *before, name)
        elif name != "cases":
            keys.append((*before, name))
    return keys


LEAVES = leaves(params.Params, PARAMS)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.floats(min_value=0, max_value=1)
    | st.dates()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers().map(str)
    | st.floats().map(repr)
    | st.sampled_from(["1e-05", "yes", "no", "~", "1_0", "0x1F", "017", "1:30", "٣", " 5 ", "5.", "Infinity", "md5:0"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def means_the_same(found: Any, given: Any) -> bool:
    """Whether what was understood is what a reader of the file would understand."""
    if isinstance(found, list):
        return isinstance(given, list) and all(map(means_the_same, found, given))
    if isinstance(found, dict):
        return isinstance(given, dict) and all(means_the_same(found[int(str(key))], given[key]) for key in given)
    if isinstance(found, (Path, str)):
        text = yaml.load(yaml.safe_dump(given, allow_unicode=True), yaml.BaseLoader)  # as it stands in the file
        return isinstance(text, str) and type(found)(text) == found
    plain = str(given).replace("_", "").strip()
    return isinstance(given, (int, float, str)) and float(plain) == found and math.isfinite(found)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(key=st.sampled_from(LEAVES), value=VALUES)
def test_any_value_is_taken_for_what_it_says_or_refused_by_its_name(tmp_path_factory, key, value):
    path = changed(tmp_path_factory.mktemp("params"), ".".join(key), value)
    try:
        found: Any = params.load(path)
    except ParamsError as error:
        message = str(error).removeprefix(f"{path}: ")
        assert message.startswith((".".join(key), f"{key[0]}:"))
        assert message.isprintable()
        assert ("allowed" in message) or ("unknown key" in message)
        assert len(message) < 400
    else:
        for name in key:
            found = getattr(found, name)
        assert means_the_same(found, value)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(text=st.text(), start=st.floats(0, 1), length=st.integers(0, 30))
def test_any_damage_to_the_file_is_one_line_at_worst(tmp_path_factory, text, start, length):
    content = Path("params.yaml").read_text()
    place = int(start * len(content))
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_bytes((content[:place] + text + content[place + length :]).encode("utf-8", "surrogatepass"))
    refusals = []
    try:
        params.load(path)
    except ParamsError as error:
        refusals.append(str(error))
    assert all(refusal.isprintable() for refusal in refusals)


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: [", "\udcff"])
def test_a_file_that_is_no_parameters_gives_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ParamsError) as caught:
        params.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(tmp_path):
    content = copy.deepcopy(PARAMS)
    del content["gan"]["epochs"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ParamsError, match=r"gan\.epochs: missing"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "stage", ["download target", "unlabelled", "pretrain judge", "train-unet", "train-gan", "evaluate"]
)
def test_every_stage_refuses_a_bad_value_before_it_touches_anything(tmp_path, stage):
    changed(tmp_path, "unet.epochs", 0)
    command = [sys.executable, "-m", "pipeline", *stage.split()]
    environment = {"PYTHONPATH": str(Path.cwd()), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "error: params.yaml: unet.epochs: given '0', allowed: greater than or equal to 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
