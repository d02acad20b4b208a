import json
from pathlib import Path

import pytest

from pipeline.measuring import report
from pipeline.system.errors import PipelineError

METRICS = "l1", "skill", "colourfulness", "delta_colourfulness", "judge_fd", "judge_accuracy"
FIGURES = {
    **{
        who: {metric + end: 0.5 for metric in METRICS for end in ("", "_low", "_high")}
        for who in ("real", "grey", "unet", "unet_gain", "gan", "gan_minus_unet", "gan_minus_unet_gain")
    },
    "measured_on": {
        "pictures": 9,
        "target": "cifar10",
        "encoder": "none",
        "gain": 1.5,
        "gains": {"real": {"factor": 2.2, "skill": 0.1}},
    },
}


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()


def changed(*place: str, value: object) -> str:
    """The figures with another value somewhere, or without it if that is None."""
    figures = json.loads(json.dumps(FIGURES))
    part = figures
    for name in place[:-1]:
        part = part[name]
    if value is None:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return json.dumps(figures)


def test_it_says_what_was_measured_and_names_the_drawings_that_are_there(capsys):
    report.FIGURES.write_text(json.dumps(FIGURES))
    report.run()
    said = capsys.readouterr().out
    assert said.startswith("On 9 test pictures of cifar10 (encoder: none): the U-Net's skill is 0.500 (0.500 to 0.500)")
    assert "Pictures:" not in said  # as in a fresh clone
    Path("plots").mkdir()
    Path("plots/curves.png").touch()
    report.run()
    assert capsys.readouterr().out.splitlines()[-1] == "Pictures: plots/curves.png"


@pytest.mark.parametrize(
    "content",
    [
        "",
        " \n",
        "{",
        json.dumps(FIGURES)[:200],
        "null",
        "7",
        '"text"',
        "[]",
        "{}",
        "[" * 100_000,
        "<html>not found</html>",
        '{"accuracy": 0.9, "data": "cifar10"}',  # the file of a classifier
        changed("gan_minus_unet_gain", value=None),  # of a former version
        changed("unet", "skill_low", value=None),
        changed("unet", value=[1, 2]),
        changed("unet", "skill", value="much"),
        changed("gan", "l1", value=float("nan")),
        changed("gan", "l1", value=float("inf")),
        changed("gan", "l1", value={}),
        changed("measured_on", value=None),
        changed("measured_on", value="cifar10"),
        changed("measured_on", "gain", value=None),
    ],
    ids=lambda content: content[:20] or "empty",
)
def test_what_this_version_did_not_write_is_refused_in_one_line(content, capsys):
    report.FIGURES.write_text(content)
    with pytest.raises(PipelineError) as raised:
        report.run()
    assert str(raised.value).startswith("metrics/evaluate.json: not what this version measures (")
    assert str(raised.value).endswith("; run `dvc repro evaluate`, or `git checkout` the file")
    assert "\n" not in str(raised.value)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"\x00" * 9, b"\x89PNG\r\n"])
def test_what_is_no_text_is_refused_in_one_line(content):
    report.FIGURES.write_bytes(content)
    with pytest.raises(PipelineError, match=r"^metrics/evaluate\.json: not what this version measures"):
        report.run()


def test_a_folder_in_its_place_and_no_file_are_refused_in_one_line():
    with pytest.raises(PipelineError, match=r"^metrics/evaluate\.json: nothing was measured yet; run `dvc repro`"):
        report.run()
    report.FIGURES.mkdir()
    with pytest.raises(PipelineError, match=r"^metrics/evaluate\.json: not what this version measures"):
        report.run()


def test_names_in_the_file_cannot_reach_the_terminal_as_control_characters(capsys):
    report.FIGURES.write_text(changed("measured_on", "target", value="a\x1b[31m\nb"))
    report.run()
    assert "\x1b" not in capsys.readouterr().out
