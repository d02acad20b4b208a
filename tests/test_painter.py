import os
import signal
from pathlib import Path

import psutil
import pytest
from PIL import Image

from pipeline.photographs import writing
from pipeline.serving import painter, worker
from pipeline.serving.painter import Painter
from pipeline.serving.refusals import Refusal
from pipeline.system.errors import PipelineError
from pipeline.system.files import sha256
from tests.painters import tinting


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tint.onnx"
    path.write_bytes(tinting(30, -20))
    return path


@pytest.fixture(scope="module")
def paints(model):
    paints = Painter({"tint": model})
    yield paints
    paints.close()


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.linear_gradient("L").save(path)
    return path


def paint(paints, photograph, visitor="somebody"):
    return paints.paint(visitor, file=str(photograph), folder=str(photograph.parent), model="tint", size=64)


def paints_on(paints, photograph):
    with Image.open(paint(paints, photograph)["result"]) as result:
        return result.size == (256, 256) and result.mode == "RGB"


def test_a_model_for_which_a_library_is_missing_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')")
    (tmp_path / "unet.safetensors").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PipelineError, match="torch") as raised:
        Painter({"unet": tmp_path / "unet.safetensors"})
    assert "\n" not in str(raised.value)


def test_a_photograph_and_the_small_copies_that_are_shown(paints, photograph):
    paths = paint(paints, photograph)
    assert {name: Path(path).name for name, path in paths.items()} == {
        "grey": "grey.webp",
        "coloured": "coloured.webp",
        "result": "photo-coloured.jpg",
        "told": "",
    }
    assert paints_on(paints, photograph)


def test_who_takes_too_long_is_told_so_and_the_next_is_served(paints, photograph, monkeypatch):
    os.kill(paints._process.pid, signal.SIGSTOP)  # as if it read for hours
    with monkeypatch.context() as patch:
        patch.setattr(painter, "DEADLINE", 0.1)
        with pytest.raises(PipelineError, match=r"takes too long: more than 0.1 seconds; save it as"):
            paint(paints, photograph)
    assert paints_on(paints, photograph)


def test_who_takes_too_much_memory_is_told_so_and_the_next_is_served(paints, photograph, monkeypatch):
    os.kill(paints._process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(painter, "MEMORY", -(1 << 40))
        with pytest.raises(PipelineError, match="too much memory; save it as"):
            paint(paints, photograph)
    assert paints_on(paints, photograph)


def test_a_reader_that_crashes_takes_nobody_else_with_it(paints, photograph, monkeypatch):
    os.kill(paints._process.pid, signal.SIGSTOP)

    def crash():  # as it reads
        for number in (signal.SIGSEGV, signal.SIGCONT):
            os.kill(paints._process.pid, number)
        return 0

    monkeypatch.setattr(paints, "_memory", crash)
    with pytest.raises(PipelineError, match="a broken picture, over which its reader crashed"):
        paint(paints, photograph)
    monkeypatch.undo()
    assert paints_on(paints, photograph)


def test_a_process_that_died_while_nobody_painted_is_replaced(paints, photograph):
    paints._process.kill()
    paints._process.wait()
    assert paints_on(paints, photograph)


def test_who_leaves_is_not_waited_for(paints, photograph, monkeypatch):
    os.kill(paints._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(painter, "LEFT", 0)
    leaving = iter(("nobody", "another", "somebody"))
    monkeypatch.setattr(paints, "_memory", lambda: paints.leave(next(leaving)) or 0)  # as it reads
    with pytest.raises(PipelineError, match="nobody waits for it"):
        paint(paints, photograph)
    monkeypatch.undo()
    assert list(leaving) == []
    assert paints_on(paints, photograph)


def test_what_goes_wrong_inside_is_one_line_in_the_log_and_no_secret_to_the_visitor(paints, photograph, capfd):
    folder = "/nowhere/\x1b[2J\n" + "x" * 300
    with pytest.raises(PipelineError, match="something went wrong with this photograph") as refused:
        paints.paint("somebody", file=str(photograph), folder=folder, model="tint", size=64)
    assert "nowhere" not in str(refused.value)
    logged = capfd.readouterr().err
    assert "nowhere" in logged
    assert logged.count("\n") == 1
    assert "\x1b" not in logged


def test_the_process_ends_with_its_parent(model):
    paints = Painter({"tint": model})
    process = psutil.Process(paints._process.pid)
    paints._process.stdin.close()  # as the system does when the parent is killed
    assert process.wait(60) == 0


def test_what_is_no_model_is_refused_at_the_start(tmp_path):
    (tmp_path / "model.onnx").write_text("I am a model")
    with pytest.raises(PipelineError, match="not a model of this project"):
        Painter({"model": tmp_path / "model.onnx"})


def in_scans(path, count, between=b""):
    """A JPEG with as many scans more, all of which say nothing."""
    Image.linear_gradient("L").save(path, "JPEG", progressive=True)
    content = path.read_bytes()
    scan = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + (between + scan) * count + b"\xff\xd9")


def test_a_jpeg_in_many_scans_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    in_scans(path, worker.SCANS)
    monkeypatch.setattr(worker.reading, "read", None)
    with pytest.raises(PipelineError, match=f"of which {worker.SCANS} are allowed; save it as JPEG or PNG again"):
        worker.read(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"progressive": True, "quality": 100}])
def test_a_usual_jpeg_has_few_scans(tmp_path, options):
    path = tmp_path / "photo.jpg"
    Image.linear_gradient("L").convert("RGB").save(path, **options)
    assert worker.count_scans(path) <= 12
    assert worker.read(path).pages


def segment(marker, content):
    return b"\xff" + marker + (len(content) + 2).to_bytes(2) + content


def test_what_is_no_scan_of_the_photograph_is_not_counted(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.effect_noise((300, 300), 99).save(path, restart_marker_blocks=1)
    content = path.read_bytes()
    many = b"\xff\xda" * 2 * worker.SCANS
    path.write_bytes(content[:2] + segment(b"\xe1", many) + segment(b"\xfe", b"\xff\xd9") + content[2:] + many)
    assert worker.count_scans(path) == 1
    assert worker.read(path).pages


@pytest.mark.parametrize(
    "between", [b"\xff" * 9, b"garbage", b"\xff\x00", b"\xff\xd0", b"\xff\x01", segment(b"\xfe", b"\xff\xd9")]
)
def test_no_scan_is_hidden_by_what_stands_before_it(tmp_path, between):
    path = tmp_path / "photo.jpg"
    in_scans(path, 2 * worker.SCANS, between)
    assert worker.count_scans(path) == worker.SCANS + 1


def test_a_result_says_that_its_colours_are_made_up(paints, photograph, model):
    made = writing.made(Path(paint(paints, photograph)["result"]))
    assert (made.source, made.models, made.size) == (sha256(photograph), (sha256(model),), 64)


def test_a_file_called_like_a_module_that_lies_where_the_page_was_started_is_not_run(model, tmp_path, monkeypatch):
    (tmp_path / "uuid.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    Painter({"tint": model}).close()


def test_a_model_that_has_gone_is_no_fault_of_the_photograph(tmp_path, photograph, capfd):
    path = tmp_path / "tint.onnx"
    path.write_bytes(tinting(30, -20))
    paints = Painter({"tint": path})
    path.unlink()
    paints.close()
    with pytest.raises(Refusal, match="the models could not be loaded; ask again") as raised:
        paint(paints, photograph)
    paints.close()
    assert raised.value.status == 503
    assert capfd.readouterr().err.startswith("the models could not be loaded again: ")


def test_frames_are_painted_one_by_one(tmp_path, model, monkeypatch):
    painted, paint = [], worker.Colouriser.paint
    monkeypatch.setattr(
        worker.Colouriser, "paint", lambda self, pages: painted.append(len(pages)) or paint(self, pages)
    )
    frames = [Image.new("L", (40, 30), tone) for tone in (60, 120, 180)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:], duration=100)
    models = {"tint": worker.Model.load(model)}
    paths = worker.paint(models, str(tmp_path / "moving.webp"), str(tmp_path), "tint", 64, shown=False)
    assert painted == [1, 1, 1]
    with Image.open(paths["result"]) as result:
        assert result.n_frames == 3
