import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.datasets import store
from pipeline.photographs import writing
from pipeline.pretrain import DATA
from pipeline.system.errors import PipelineError
from tests.archives import draw
from tests.somebody import somebody

resource = pytest.importorskip("resource", reason="no limits of processes here")

PRETRAIN = [f"pretrain {name}" for name in DATA]
STAGES = ["download target", "unlabelled", *PRETRAIN, "train-unet", "train-gan", "evaluate"]


@contextmanager
def full_disk(most: int):
    """No file may have more bytes than that: writes fail as on a full disk, for root as well."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def project(monkeypatch):
    """A folder, which somebody else can reach, with params.yaml, an epoch of everything, and a few pictures."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["case"] = "photos"
    for section in (*content["pretrain"].values(), content["unet"], content["gan"]):
        section["epochs"] = 1
    content["evaluate"] |= {"resamples": 100, "grid": 4}
    pictures = store.Split(*draw(16, 16, np.random.default_rng(0)))
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        Path("params.yaml").write_text(yaml.safe_dump(content))
        for role in DATA.values():
            store.write(role, {"name": "few", "classes": ["a"] * 10}, dict.fromkeys(store.SPLITS, pictures))
        yield Path(folder)
        monkeypatch.undo()  # out of the folder, before it goes


def run(stage: str):
    return CliRunner().invoke(app, stage.split())


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".lock", ".pt") and not path.name.endswith("_seconds.csv")
    }


def test_a_full_disk_is_one_line_and_nothing_is_half_written(project):
    for stage in STAGES:
        before = files(project)
        with full_disk(20 if stage == "unlabelled" else 1000):  # it writes next to nothing, where all have labels
            result = run(stage)
        assert isinstance(result.exception, PipelineError), (stage, result.exception)
        line = str(result.exception)
        assert "File too large" in line or "written" in line
        assert "\n" not in line
        assert files(project) == before, stage
        if stage.startswith("download"):
            continue  # the few pictures stay
        assert run(stage).exit_code == 0
        assert files(project) != before


def test_a_folder_that_cannot_be_written_is_named(project):
    Path("models").write_text("a file")
    result = run("pretrain encoder")
    assert isinstance(result.exception, PipelineError)
    assert str(result.exception).startswith("pretrain-encoder: models")
    assert Path("models").read_text() == "a file"
    Path("models").unlink()
    Path("models/encoder.safetensors").mkdir(parents=True)
    result = run("pretrain encoder")
    assert isinstance(result.exception, PipelineError)
    assert "models/encoder.safetensors" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_folder_that_may_not_be_written_is_one_line_and_the_next_run_goes_on(project):
    here = Path()
    for stage, folders in (
        ("download target", ["data"]),
        ("pretrain encoder", ["models", "plots", "metrics", "checkpoints"]),
    ):
        assert run(stage).exit_code == 0
        before = files(here)
        with somebody([here, *here.rglob("*")]):
            for folder in folders:
                Path(folder).chmod(0o555)
                line = str(run(stage).exception)
                assert line.startswith(f"{stage.replace(' ', '-')}: {folder}/")
                assert "Permission denied; make room, or allow writing there, and run the same command again" in line
                assert "\n" not in line
                assert files(here) == before
                Path(folder).chmod(0o755)
            assert run(stage).exit_code == 0


def test_what_a_killed_download_left_is_cleared_away(project):
    Path("data/.target-abcd").mkdir()
    Path("data/.target-abcd/train.npy").write_bytes(b"half")
    assert run("download target").exit_code == 0
    assert sorted(path.name for path in Path("data").iterdir()) == ["encoder", "target"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("short", [1, 1000])
def test_a_result_for_which_there_is_no_room_is_no_result(tmp_path, kind, short):
    noise = Image.effect_noise((120, 90), 80).convert("RGB")
    whole, half = tmp_path / "whole", tmp_path / "half"
    for path in (whole, half):
        path.touch()
    writing.save([noise], whole, kind)
    with full_disk(whole.stat().st_size - short), pytest.raises(OSError, match="File too large"):
        writing.save([noise], half, kind)
