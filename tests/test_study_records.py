"""Records of the study's runs, the table that is made of them, and the page: of made-up experiments."""

import base64
import hashlib
import json
import re
import shutil
from xml.sax.saxutils import escape

import pytest

from pipeline import inventory
from pipeline.study import answers, cache, claims, experiments, page, plan, records
from pipeline.study.cells import Table
from pipeline.study.run import called, finished, log_of
from tests import studies
from tests.studies import CODE, experiment, figures, part, study

TWO = {"encoders": part(("1", "none"), (500, 8000), plain={}, quick={"unet.epochs": 2})}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """DVC's cache, with nothing in it."""
    monkeypatch.setattr(cache, "_folder", lambda: tmp_path)


def test_each_run_has_a_record_that_says_what_became_of_it():
    base = study({"a": part(("1",), (500, 2000, 8000), plain={}, quick={"unet.epochs": 2})}, seeds=[0])
    planned = plan.runs(base)
    done, again, old = (experiment(planned[0], figures(0.2), name=name, when=name) for name in ("done", "again", "old"))
    other = experiment(planned[1], figures(0.3), name="other", stages={"evaluate": {"deps": [], "outs": []}})
    broken = experiment(planned[2], {}, name="broken", params=None, problem="nothing was measured")
    (beside,) = plan.runs(study({"a": part(("none",), (7,))}, seeds=[0]))
    mine = experiment(beside, figures(0.1), name="mine")
    lacking = {planned[2].key: (records.FAILED, "the loss is nan"), planned[3].key: (records.QUEUED, "as q")}
    found = records.gather(planned, [old, done, again, other, broken, mine], CODE, lacking)
    assert [(record.name, record.status, record.note) for record in found] == [
        ("again", "measured", ""),
        (planned[1].name, "missing", ""),
        (planned[2].name, "failed", "the loss is nan"),
        (planned[3].name, "queued", "as q"),
        (planned[4].name, "missing", ""),
        (planned[5].name, "missing", ""),
        ("old", "repeated", "as again"),
        ("done", "repeated", "as again"),
        ("other", "other code", "differs in pipeline/evaluate.py"),
        ("broken", "not whole", "nothing was measured"),
        ("mine", "measured", ""),
    ]
    assert [bool(record.places) for record in found] == [True] * 6 + [False] * 5


def test_if_that_is_asked_for_a_run_of_other_code_counts_where_there_is_none_of_this_code():
    planned = plan.runs(study({"a": part(("1",), (500, 8000))}, seeds=[0]))
    other = {"evaluate": {"deps": [{"path": "pipeline/a.py", "md5": "1"}], "outs": []}}
    made = [
        experiment(planned[0], figures(0.2), name="old", stages=other),
        experiment(planned[0], figures(0.3), name="new"),
        experiment(planned[0], figures(0.4), name="other again", stages=other),
        experiment(planned[1], figures(0.5), name="first", stages=other),
        experiment(planned[1], figures(0.6), name="last", stages=other),
    ]
    found = records.gather(planned, made, CODE, {}, any_code=True)
    assert [(record.name, record.status, bool(record.places)) for record in found] == [
        ("new", "measured", True),
        ("last", "measured", True),
        ("old", "other code", False),
        ("other again", "other code", False),
        ("first", "other code", False),
    ]
    assert [record.note for record in found[:2]] == [
        "",
        "other code: differs in pipeline/a.py, pipeline/evaluate.py",
    ]


def test_a_run_with_a_gan_counts_as_that_of_its_unet_alone_too_if_there_is_none():
    planned = whole, alone = plan.runs(study({"a": part(("1",), (500,), whole={}, alone={"gan.epochs": 0})}, seeds=[0]))
    on = {"pictures": 100, "gain": 3, "gains": {"real": {"factor": 4}, "gan": {"factor": 3}}}
    on["sha256"] = {"unet": "1", "gan": "2", "judge": "3"}
    made = experiment(whole, figures(0.2, measured_on=on))
    its_unet = experiments.unet_alone(made)
    first, second = records.gather(planned, [its_unet, made], CODE, {})
    assert (first.status, second.status, second.planned.gan.epochs) == ("measured", "measured", 0)
    assert first.made.figures["unet"] == second.made.figures["unet"]
    assert first.made.figures["measured_on"]["gain"] == 3
    assert second.made.figures["measured_on"] == {
        "pictures": 100,
        "gain": 4,
        "gains": {"real": {"factor": 4}},
        "sha256": {"unet": "1", "judge": "3"},
    }
    of_gans = {"gan", "unet_gain", "gan_minus_unet", "gan_minus_unet_gain"}
    assert first.made.figures.keys() - second.made.figures.keys() == of_gans
    own = experiment(alone, figures(0.3, gan=False))
    assert experiments.unet_alone(own) is None
    for found in ([its_unet, made, own], [its_unet, own, made]):
        assert [record.made for record in records.gather(planned, found, CODE, {})] == [made, own]


def test_runs_on_data_that_have_changed_since_do_not_count():
    planned = plan.runs(study({"a": part(("1", "none"), (500, 8000))}, seeds=[0]))
    first, second, other, _ = planned
    old, new = {"data/target": "d1", "data/encoder": "e1"}, {"data/target": "d2", "data/encoder": "e1"}
    made = [
        experiment(first, figures(0.2), old, name="old"),
        experiment(other, figures(0.2), new | {"data/encoder": "e0"}, name="of nothing"),
        experiment(second, figures(0.3), new, name="new"),
    ]
    found = records.gather(planned, made, CODE, {})
    assert [(record.name, record.status) for record in found if record.status != "missing"] == [
        ("new", "measured"),
        ("of nothing", "measured"),
        ("old", "other data"),
    ]
    assert finished(made, CODE).keys() == {second.key, other.key}


def test_a_folder_that_has_changed_is_not_measured_any_more(tmp_path, monkeypatch):
    settings = {"mine": {"datasets.folder.path": str(tmp_path / "mine")}}
    (run,) = plan.runs(study({"a": part(("folder",), (500,), **settings)}, seeds=[0]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    digest = hashlib.md5(inventory.of(run.params.datasets.folder.path)).hexdigest()
    one = experiment(run, figures(0.2), {"data/inventory.json": digest})
    assert finished([one], CODE).keys() == {run.key}
    before = called(run, CODE)
    (tmp_path / "mine/new.png").touch()
    assert not finished([one], CODE)
    assert records.gather([run], [one], CODE, {})[0].status == "missing"
    assert called(run, CODE) != before  # DVC would refuse another one of the same name
    digest = hashlib.md5(inventory.of(run.params.datasets.folder.path)).hexdigest()
    new = experiment(run, figures(0.3), {"data/inventory.json": digest, "data/target": "d2"})
    more = experiment(run, figures(0.4), {"data/inventory.json": "of another picture, too", "data/target": "d3"})
    assert finished([one, new, more], CODE) == {run.key: new}  # the change that came after it was taken back
    shutil.rmtree(tmp_path / "mine")
    assert finished([one], CODE).keys() == {run.key}  # there is nothing that it could be made of again


def test_what_became_of_a_run_is_not_said_of_one_with_other_parameters_or_other_code():
    parts = {"a": part(("1",), (500,))}
    first, again = (plan.runs(study(parts, [0]))[0] for _ in range(2))
    (slower,) = plan.runs(study({"a": part(("1",), (500,), plain={"unet.learning_rate": 0.001})}, [0]))
    assert log_of(first, CODE) == log_of(again, CODE)
    assert slower.name == first.name
    assert log_of(slower, CODE) != log_of(first, CODE)
    assert log_of(first, {}) != log_of(first, CODE)


def test_the_code_that_counts_is_what_lies_here_if_anything_was_run_with_it_and_else_that_of_the_last_run():
    one, two = plan.runs(study({"a": part(("1",), (500, 8000))}, seeds=[0]))
    first = experiment(one, figures(0.2))
    last = experiment(two, figures(0.2), stages={"evaluate": {"deps": [{"path": "pipeline/a.py", "md5": "1"}]}})
    assert records.which_code([first, last], CODE) == CODE
    assert records.which_code([first, last], {"evaluate:pipeline/evaluate.py": "2"}) == {"evaluate:pipeline/a.py": "1"}
    assert records.which_code([], CODE) == CODE


def test_the_table_says_what_a_run_was_its_figures_and_its_digests():
    base = study({"a": part(("none",), (500,), quick={"unet.epochs": 2})}, seeds=[3])
    (run,) = plan.runs(base)
    found = figures(0.2, measured_on={"pictures": 100, "sha256": {"unet": "abc"}})
    made = experiment(run, found, {"data/target": "d1", "data/encoder": "d2"})
    (row,) = records.table(records.gather([run], [made], CODE, {}), base).to_dict("records")
    expected = {"status": "measured", "places": "a: quick", "target": "cifar10", "encoder": "none", "images": 500}
    expected |= {"seed": 3, "unet.skill": 0.2, "unet.skill_low": 0.196, "gan.skill": 0.1, "params.unet.epochs": 2}
    expected |= {"measured_on.sha256.unet": "abc", "data.target": "d1", "data.encoder": "d2", "commit": made.commit}
    assert {name: row[name] for name in expected} == expected
    assert row["changed"] == "unet.epochs: 2"


def build(skill, parts=TWO, seeds=(0, 1), notes=()):
    base = study(parts, seeds)
    found = studies.gathered(base, skill)
    table = Table(found)
    return page.build(found, table, claims.all_claims(table), base.study, notes)


def by_encoder(run):
    return 0.2 if run.params.roles().encoder == "cifar10" else 0.1 + 0.001 * run.params.seed


def test_the_page_begins_with_the_answer_and_needs_no_network():
    html = build(by_encoder)
    assert html.index("vgg8 pretrained on cifar10 (the same) brings 0.1") < html.index("<h2>")
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    assert links
    assert all(link.startswith("data:image/") for link in links)
    assert "<script" not in html


def test_the_answer_has_a_question_for_each_kind_of_sentence_with_what_it_is_about():
    calm = {"gan.adversarial_weight": 0}
    quick = {"calm": part(("1",), (8000,), calm=calm | {"unet.epochs": 2})}
    parts = {"cases": part(("1", "none"), (500, 8000), whole={}, calm=calm)} | quick
    answer, *_ = build(by_encoder, parts).split("<h2>")
    encoders, settings, gans = answer.split("<h3>")[1:]
    assert "image/svg+xml" in encoders
    assert "on cifar10 (the same) brings" in encoders
    assert "compared with whole, the GAN, calm, has" in settings
    assert "compared with the U-Net, the GAN has" in gans
    # Rows and columns: with the encoder, with random weights, and beside another U-Net.
    assert gans.count("<th scope") == 2 * (3 + 4) + (3 + 3)
    assert 'scope="col">GAN, calm' in gans
    assert gans.count("8,000 pictures (calm, calm)") == 1


def test_the_page_has_the_order_of_the_study_whatever_parts_share():
    first = {"a": part(("1",), (8000,)), "b": part(("1",), (500, 8000), quick={"unet.epochs": 2}, plain={})}
    table = Table(studies.gathered(study(first, [0, 1]), by_encoder))
    assert table.values("part") == ["a", "b"]
    assert table.values("setting", part="b") == ["quick", "plain"]
    assert table.values("images", part="b") == [500, 8000]
    assert [claim.against for claim in claims.all_claims(table) if claim.kind == "settings"] == ["quick"] * 2


def test_what_differs_in_the_encoders_architecture_alone_stands_in_the_answer_beside_each_other():
    large = {"pretrain.encoder.architecture": "timm/efficientnet_lite0", "gan.epochs": 0}
    parts = {"small": part(), "large": part(plain=large), "again": part()}
    answer, *_ = build(by_encoder, parts).split("<h2>")
    for encoder in ("vgg8", "efficientnet_lite0"):
        assert answer.count(f"On cifar10 with 8,000 pictures: {encoder} pretrained on cifar10 (the same) brings") == 1
        assert f"{encoder}, cifar10 (the same)" in drawing(answer)


@pytest.mark.parametrize("name", ["$_$", "_slow", "a & b"])
def test_a_setting_may_have_any_name(name):
    settings = {"plain": {}, name: {"unet.encoder_learning_rate": 0, "gan.epochs": 0}}
    assert escape(name) in drawing(build(by_encoder, {"a": part(**settings)}), "Settings beside")


def test_the_chart_shows_the_intervals_that_the_sentences_say(monkeypatch):
    drawn = []
    monkeypatch.setattr(answers.charts, "dots", lambda rows, *_: drawn.append(rows) or b"")
    parts = {"a": part(("none", "1"), (500,)), "b": part(("none", "cifar10-imagenette"), (500,))}

    def skill(run):  # the second encoder has one seed
        other = run.params.roles().encoder == "imagenette"
        return None if other and run.params.seed else by_encoder(run) + 0.05 * other

    table = Table(studies.gathered(study(parts), skill, gan=False))
    said = claims.all_claims(table)
    answers.answers(table, said)
    bars = {bar for row in drawn[0].values() for bar in row.values()}
    assert bars == {claim.differences["unet.skill"] for claim in said if claim.kind == "encoder or none"}
    assert {(bar.seeds, bar.freedom) for bar in bars} == {(3, 2), (1, 2)}


def drawing(html, caption=""):
    """The text in the first chart of a page, or in that with a caption that begins so."""
    content = re.search(rf"data:image/svg[+]xml;base64,([^\"]+)\" alt=\"{caption}", html)[1]
    return base64.b64decode(content).decode()


def test_a_distance_is_never_said_to_be_below_0():
    base = study({"a": part(("1",), (500,))}, [0, 1])
    planned = plan.runs(base)
    far = {0: 0.03, 1: 0.05}  # Student's t reaches from here to below 0
    made = [experiment(one, figures(0.2, unet={"judge_fd": far[one.params.seed]})) for one in planned]
    table = Table(records.gather(planned, made, CODE, {}))
    (cell,) = table.runs
    assert table.mean(cell, "unet", "judge_fd").low == 0
    assert table.mean(cell, "gan_minus_unet", "judge_fd").low < 0


def test_the_page_says_that_it_has_one_seed():
    assert "The study has one seed." in build(by_encoder, seeds=[0])
    assert "The study has one seed." not in build(by_encoder)


def test_what_is_missing_is_shown_and_named_and_a_mean_says_how_many_seeds_it_has():
    html = build(lambda run: None if run.params.seed and run.params.roles().encoder == "none" else by_encoder(run))
    assert "12 of the 16 runs of the study are measured" in html
    assert "1 of 2 seeds" in html
    assert ", 0.200 instead of 0.100. <small>1 of 2 seeds</small>" in html
    assert "of 2 seeds" not in build(by_encoder)
    assert 'encoders-none-500-plain-seed1</code>: <span class="none">missing' in html
    nothing = build(lambda run: None)
    assert "There is nothing to compare yet." in nothing
    assert '<span class="none">missing</span>' in nothing


def test_what_the_code_has_to_say_and_names_from_outside_are_text():
    html = build(by_encoder, {"<b>part</b>": part()}, notes=["made with <other> code"])
    assert "made with &lt;other&gt; code" in html
    assert "<b>part" not in html.lower()


@pytest.mark.parametrize("column", ["validation_skill", "validation_l1"])  # the latter: of an earlier version
def test_curves_and_pictures_of_the_runs_are_on_the_page(tmp_path, column):
    def put(content: bytes) -> str:
        digest = f"{len(content):032x}"
        (tmp_path / digest[:2]).mkdir(exist_ok=True)
        (tmp_path / digest[:2] / digest[2:]).write_bytes(content)
        return digest

    outputs = {
        "plots/unet.csv": put(f"epoch,{column}\n1,0.08\n2,0.07\n".encode()),
        "plots/unet_seconds.csv": put(b"epoch,seconds\n1,60\n2,60\n"),
        "plots/grid.png": put(b"a grid"),
        "plots/before_after.gif": put(b"an animation"),
    }
    base = study({"a": part(("1",), (500,))}, seeds=[0])
    (run,) = plan.runs(base)
    found = records.gather([run], [experiment(run, figures(0.2), outputs)], CODE, {})
    assert found[0].seconds == {"evaluate": 120}
    table = Table(found)
    html = page.build(found, table, [], base.study, [])
    assert html.count("data:image/svg+xml") == (column == "validation_skill")
    assert ("skill against minutes" in html) == (column == "validation_skill")
    assert "data:image/png;base64,YSBncmlk" in html
    assert html.count("data:image/gif") == 1
    assert json.dumps(found[0].experiment.output("plots/nothing.csv")) == "null"


def test_a_study_without_a_gan_says_nothing_of_one_and_compares_unets():
    base = study(TWO, [0, 1])
    found = studies.gathered(base, by_encoder, gan=False)
    table = Table(found)
    html = page.build(found, table, claims.all_claims(table), base.study, [])
    assert "The U-Net alone: cifar10, 8,000 pictures, plain" in html
    assert "against a PatchGAN" not in html
    assert 'scope="col">GAN' not in html
    assert "compared with the U-Net, the GAN" not in html
    assert not re.search(r"[>\s]nan[<\s]", html)


def test_parts_with_and_without_a_gan_stand_on_one_page():
    base = study({"both": part(("1",), (500,), full={}, alone={"gan.epochs": 0})}, [0])
    planned = plan.runs(base)
    made = [experiment(run, figures(0.2, gan=bool(run.params.gan.epochs))) for run in planned]
    found = records.gather(planned, made, CODE, {})
    table = Table(found)
    html = page.build(found, table, claims.all_claims(table), base.study, [])
    assert "The U-Net alone: cifar10, 500 pictures, alone" in html
    assert html.count('scope="col">GAN, full') == html.count('scope="col">GAN</th>') == 1  # answer, and part
    assert "GAN, alone" not in html
    assert "against a PatchGAN" in html
    assert records.table(found, base)["gan.skill"].isna().tolist() == [False, True]
