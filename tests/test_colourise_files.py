import contextlib
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import __main__
from pipeline.colouring import colourise_files, destinations
from pipeline.colourise import SIZE, VERSION
from pipeline.model_files import saved
from pipeline.model_files.names import TRAINED
from pipeline.networks.classifier import Classifier
from pipeline.photographs import heif
from tests.painters import CLASSIFIER, COLOURISER, random_unet

ROOT = Path.cwd()
BROWN = (120, 90, 60)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Models of random weights, as the stages would have written them."""
    folder = tmp_path_factory.mktemp("trained") / "models"
    torch.manual_seed(0)
    for name in ("unet", "gan"):
        saved.save(folder / f"{name}.safetensors", random_unet(), **COLOURISER)
    judge = Classifier("resnet20", 3, 2)
    saved.save(folder / "judge.safetensors", judge, **CLASSIFIER)
    return folder


@pytest.fixture
def run(tmp_path, trained, monkeypatch, capsys):
    """Runs the command in an empty folder with models in it; returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    Path("models").symlink_to(trained)

    def colourise(*arguments):
        monkeypatch.setattr(sys, "argv", ["pipeline", "colourise", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            __main__.main()
        output, errors = capsys.readouterr()
        output = re.sub(r"; in [0-9.]+ s, on \w+, by models/[\w/. ]+\n$", "\n", output)
        lines = [line.rpartition("\r")[2].strip() for line in errors.split("\n")]  # what the progress bar leaves
        return left.value.code, output, [line for line in lines if line and not line.startswith("colouring:")]

    return colourise


def save(name, mode="RGB", size=(40, 30), **options):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, BROWN).convert(mode).save(path, **options)
    return path


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "mode", "written"),
    [
        ("a.jpg", "RGB", ("a.jpg", "JPEG", "RGB")),
        ("a.JPEG", "L", ("a.JPEG", "JPEG", "RGB")),
        ("a.jpg", "CMYK", ("a.jpg", "JPEG", "RGB")),
        ("a.png", "RGB", ("a.png", "PNG", "RGB")),
        ("a.png", "RGBA", ("a.png", "PNG", "RGBA")),
        ("a.png", "P", ("a.png", "PNG", "RGB")),
        ("a.png", "I;16", ("a.png", "PNG", "RGB")),
        ("a.webp", "RGBA", ("a.webp", "WEBP", "RGBA")),
        ("a.tif", "RGB", ("a.tif", "TIFF", "RGB")),
        ("a.tiff", "RGBA", ("a.tiff", "TIFF", "RGBA")),
        ("a.bmp", "RGB", ("a.bmp.png", "PNG", "RGB")),  # which holds no metadata
        ("a.gif", "P", ("a.gif.png", "PNG", "RGB")),  # a palette would not hold the result
        ("a.heic", "RGB", ("a.heic.png", "PNG", "RGB")),
        ("a.ppm", "RGB", ("a.ppm.png", "PNG", "RGB")),
    ],
)
def test_the_format_is_kept_where_it_can_hold_the_result(run, name, mode, written):
    picture = Image.new("RGB", (40, 30), BROWN)
    picture = Image.fromarray(np.full((30, 40), 9999, np.uint16)) if mode == "I;16" else picture.convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize((40, 30)))
    heif.register()
    picture.save(name)
    before = Path(name).read_bytes()
    code, output, _ = run(name, "--out", "out")
    assert (code, output) == (0, f"written: out/{written[0]}\n")
    assert files("out") == [written[0]]
    with Image.open(Path("out") / written[0]) as coloured:
        assert (coloured.format, coloured.mode, coloured.size) == (*written[1:], (40, 30))
        if mode == "RGBA":
            assert np.array_equal(coloured.getchannel("A"), picture.getchannel("A"))
    assert Path(name).read_bytes() == before


def test_transparent_parts_go_into_a_png_where_the_format_has_none(run):
    save("a.jpg", "RGBA", format="PNG")  # whatever it is called
    for skipped in (False, True):
        code, output, _ = run("a.jpg", "--out", "out")
        assert code == 0
        assert ("written: out/a.jpg.png" in output) != skipped
        assert files("out") == ["a.jpg.png"]


def test_exif_data_are_kept_but_for_the_orientation(run):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    for name in ("a.jpg", "a.png", "a.webp"):
        save(name, exif=exif)
        assert run(name, "--out", "out")[0] == 0
        with Image.open(Path("out") / name) as coloured:
            assert coloured.size == (30, 40)
            assert dict(coloured.getexif()) == {0x010F: "a camera", 0x0131: f"ColourGAN {VERSION}"}


def test_a_folder_is_mirrored_and_the_second_run_does_nothing(run):
    for name in ("b.jpg", "a/c.png", "a/deeper/d.webp"):
        save(f"photos/{name}")
    Path("photos/notes.txt").write_text("not a picture")
    code, output, errors = run("photos", "--out", "out")
    assert (code, output) == (0, "written: 3 photographs in out\n")
    assert errors == ["photos: files of other kinds passed over: 1 .txt"]
    assert files("out") == ["a/c.png", "a/deeper/d.webp", "b.jpg"]
    times = [path.stat().st_mtime_ns for path in sorted(Path("out").rglob("*"))]
    Path("out/b.jpg").unlink()
    code, output, _ = run("photos", "--out", "out")
    assert (code, output.partition(";")[0]) == (0, "written: out/b.jpg")
    assert "2 that out has already" in output
    code, output, _ = run("photos", "--out", "out")
    assert (code, output.partition(";")[0]) == (0, "written: 0 photographs in out")
    assert len(times) == len(list(Path("out").rglob("*")))


def png(width, height):
    """A PNG without pixels, which says that it has some."""
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", b""),
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


def test_bad_files_are_named_with_their_reason_and_the_rest_goes_on(run):
    for number in range(5):
        save(f"photos/good {number}.png")
    whole = save("photos/half.jpg", size=(300, 300), quality=95).read_bytes()
    Path("photos/half.jpg").write_bytes(whole[: len(whole) // 2])
    whole = save("photos/half.png", size=(300, 300)).read_bytes()
    Path("photos/half.png").write_bytes(whole[: len(whole) // 2])
    Path("photos/empty.jpg").write_bytes(b"")
    Path("photos/text.jpg").write_text("I am a photograph")
    Path("photos/flat.png").write_bytes(png(0, 5))
    Path("photos/bomb.png").write_bytes(png(20_000, 20_000))
    Image.new("F", (8, 8)).save("photos/float.tiff")
    Path("photos/folder.jpg").mkdir()

    code, output, errors = run("photos", "--out", "out")
    assert code == 1
    assert output == "written: 5 photographs in out\n"
    assert files("out") == [f"good {number}.png" for number in range(5)]
    reasons = dict(line.removeprefix("photos/").split(": ", 1) for line in errors)
    assert reasons.pop("error") == "7 of 12 failed, for the reasons above"
    assert sorted(reasons) == ["bomb.png", "empty.jpg", "flat.png", "float.tiff", "half.jpg", "half.png", "text.jpg"]
    assert "truncated" in reasons["half.jpg"]
    assert reasons["bomb.png"] == "far too many pixels, of which 179 million are allowed; give a smaller copy"
    assert reasons["half.png"].startswith("a broken picture (")
    assert reasons["half.png"].endswith("); give another copy of it")
    assert "floating-point" in reasons["float.tiff"]
    assert reasons["empty.jpg"] == "an empty file; give a picture"
    assert reasons["text.jpg"].startswith("not a picture that can be read")


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(run):
    save("a.png").chmod(0)
    code, _, errors = run("a.png", "--out", "out")
    assert code == 1
    assert errors[0] == "a.png: Permission denied"


def test_what_cannot_be_written_leaves_nothing_half(run, monkeypatch):
    save("photos/a.png", size=(50, 30))
    save("photos/b.png")
    write = Image.Image.save

    def fail(picture, path, **options):
        write(picture, path, **options)
        if picture.size == (50, 30):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    code, _, errors = run("photos", "--out", "out")
    assert code == 1
    assert errors[0] == "photos/a.png: out/a.png cannot be written: No space left on device"
    assert files("out") == ["b.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("gone.jpg --out out", "gone.jpg: no such photograph or folder"),
        ("empty --out out", "empty: no pictures in this folder"),
        ("folder.jpg --out out", "folder.jpg: no pictures in this folder"),
        ("photos --out photos", "--out photos: given the folder of the photographs"),
        ("photos/a.jpg --out photos", "photos/a.jpg would be replaced"),
        ("photos more --out out", "more/a.jpg and photos/a.jpg would both become out/a.jpg"),
        ("photos --out notes.txt", "--out notes.txt: given notes.txt, which is a file; give a folder"),
        ("photos --out notes.txt/out", "--out notes.txt/out: given notes.txt, which is a file"),
        ("photos --out out --model pix2pix", "--model pix2pix: there is no pix2pix; give unet, gan, photograph or the"),
        ("photos --out out --model models/judge.safetensors", "given a model that is a classifier"),
        ("photos --out out --model notes.txt", "not a model of this project"),
        ("photos --out out --model gan --compare", "so --model gan has no use"),
    ],
)
def test_arguments_that_make_no_sense_are_one_line_and_nothing_is_written(run, arguments, said):
    for name in ("photos/a.jpg", "more/a.jpg"):
        save(name)
    for folder in ("empty", "folder.jpg"):
        Path(folder).mkdir()
    Path("notes.txt").write_text("notes")
    before = {name: Path(name).read_bytes() for name in files(".")}
    code, output, errors = run(*arguments.split())
    assert (code, output, len(errors)) == (1, "", 1)
    assert said in errors[0]
    assert {name: Path(name).read_bytes() for name in files(".")} == before
    assert not Path("out").exists()


def test_a_missing_model_says_how_to_train_it(run, monkeypatch):
    monkeypatch.setitem(TRAINED, "gan", Path("nowhere/gan.safetensors"))
    save("a.jpg")
    for arguments in (("--model", "gan"), ("--compare",)):
        code, _, errors = run("a.jpg", "--out", "out", *arguments)
        assert code == 1
        assert errors == [
            "error: --model gan: there is no nowhere/gan.safetensors; run `dvc repro` to train it",
        ]


def test_an_out_folder_among_the_photographs_is_not_coloured_again(run):
    save("photos/a.jpg")
    for _ in range(2):
        assert run("photos", "--out", "photos/coloured")[0] == 0
    assert files("photos") == ["a.jpg", "coloured/a.jpg"]


def test_the_out_folder_may_hold_the_photographs_folder(run):
    save("photos/a.jpg")
    assert run("photos", "--out", ".")[0] == 0
    assert files(".") == ["a.jpg", "photos/a.jpg"]


def test_results_in_a_folder_are_passed_over_and_counted_but_coloured_if_named(run):
    save("a.jpg")
    save("deeper/b.png")
    for out, model, results in (("coloured", "unet", 0), ("other", "gan", 2), ("third", "unet", 4)):
        code, output, _ = run(".", "--out", out, "--model", model)
        assert code == 0
        assert output.startswith(f"written: 2 photographs in {out}")
        assert (f"passed over: {results} that are results" in output) == (results > 0)
        assert files(out) == ["a.jpg", "deeper/b.png"]
    Path("elsewhere").mkdir()
    Path("coloured/a.jpg").rename("elsewhere/c.jpg")
    code, output, _ = run("elsewhere", "--out", "out")
    assert (code, output) == (
        0,
        "written: 0 photographs in out; "
        "passed over: 1 that are results; name one, not its folder, to have it coloured\n",
    )
    for arguments in (("elsewhere/c.jpg",), ("elsewhere", "elsewhere/c.jpg"), ("elsewhere/c.jpg", "elsewhere")):
        assert run(*arguments, "--out", "out")[:2] == (0, "written: out/c.jpg\n")
        Path("out/c.jpg").unlink()


@pytest.mark.parametrize(
    "change",
    [
        ("--model", "gan"),
        ("--model", "models/gan.safetensors"),
        ("--size", "32"),
    ],
)
def test_a_result_of_something_else_is_made_anew_and_one_of_the_same_is_left(run, change):
    for name in ("a.jpg", "b.png", "c.webp", "d.tif", "e.bmp", "f.gif"):
        save(f"photos/{name}")
    save("photos/clear.jpg", "RGBA", format="PNG")
    run("photos", "--out", "out")
    first = {name: (Path("out") / name).read_bytes() for name in files("out")}
    assert run("photos", "--out", "out", "--size", SIZE, "--model", "models/unet.safetensors")[1] == (
        "written: 0 photographs in out; left as they were: 7 that out has already\n"
    )
    code, output, errors = run("photos", "--out", "out", *change)
    assert (code, errors) == (0, [])
    assert output == (
        "written: 7 photographs in out; "
        "made anew: 7, by another model, size or strength, or of photographs that changed\n"
    )
    assert files("out") == sorted(first)
    run("photos", "--out", "out")
    assert {name: (Path("out") / name).read_bytes() for name in files("out")} == first


def test_the_result_of_a_photograph_that_changed_is_made_anew(run):
    save("photos/a.png")
    save("photos/b.png")
    run("photos", "--out", "out")
    times = Path("photos/a.png").stat()
    save("photos/a.png", size=(41, 30))
    os.utime("photos/a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    _, output, _ = run("photos", "--out", "out")
    assert output.startswith("written: out/a.png; made anew: 1, by another model")
    assert output.endswith("; left as they were: 1 that out has already\n")
    with Image.open("out/a.png") as coloured:
        assert coloured.size == (41, 30)


def test_comparisons_know_what_they_were_made_of_too(run, trained, tmp_path):
    save("photos/a.jpg")
    for left in (False, True):
        assert ("left as they were: 1" in run("photos", "--out", "out", "--compare")[1]) == left
    assert "made anew: 1" in run("photos", "--out", "out", "--compare", "--size", "32")[1]
    assert run("out", "--out", "again")[1].startswith(
        "written: 0 photographs in again; passed over: 1 that are results"
    )


def foreign(kind, path):
    """Something at a result's place that colourise did not write."""
    path.parent.mkdir(exist_ok=True)
    match kind:
        case "a photograph":
            save(path)
        case "an empty file":
            path.touch()
        case "a text":
            path.write_text("notes")
        case "a broken link":
            path.symlink_to("nowhere")
        case "half a photograph":
            content = save(path, size=(300, 300)).read_bytes()
            path.write_bytes(content[: len(content) // 2])


KINDS = ("a photograph", "an empty file", "a text", "a broken link", "half a photograph")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compared", [(), ("--compare",)])
def test_what_is_no_result_is_replaced_by_force_alone(run, kind, compared):
    save("photos/a.jpg")
    save("photos/b.jpg")
    target = Path("out/a.jpg.compared.png" if compared else "out/a.jpg")
    foreign(kind, target)
    before = target.read_bytes() if target.exists() else None
    code, output, errors = run("photos", "--out", "out", *compared)
    assert code == 1
    assert output.startswith("written: out/b.jpg")
    assert errors[0] == (f"photos/a.jpg: {target} is there and no result of this command; move it away, or add --force")
    assert errors[1] == "error: 1 of 2 failed, for the reasons above"
    assert (target.read_bytes() if target.exists() else None) == before
    assert run("photos", "--out", "out", "--force", *compared)[0] == 0
    with Image.open(target) as coloured:
        assert coloured.size[1] == 30
    assert not target.is_symlink()


def test_where_a_transparent_result_goes_nothing_else_is_replaced(run):
    save("photos/a.jpg", "RGBA", format="PNG")
    save("out/a.jpg.png")
    before = Path("out/a.jpg.png").read_bytes()
    code, _, errors = run("photos", "--out", "out")
    assert code == 1
    assert "out/a.jpg.png is there and no result" in errors[0]
    assert Path("out/a.jpg.png").read_bytes() == before
    assert run("photos", "--out", "out", "--force")[0] == 0
    assert files("out") == ["a.jpg.png"]


def test_a_result_of_a_photograph_that_became_another_is_told(run):
    save("photos/a.jpg")
    assert run("photos", "--out", "out")[0] == 0
    save("photos/a.jpg", "RGBA", format="PNG")
    code, _, errors = run("photos", "--out", "out")
    beside = "it is of another photograph, or of this one before it changed"
    assert (code, errors) == (0, [f"photos/a.jpg: out/a.jpg stays beside a.jpg.png; {beside}"])
    assert files("out") == ["a.jpg", "a.jpg.png"]
    save("photos/a.jpg", size=(41, 30))
    assert run("photos", "--out", "out")[2] == [f"photos/a.jpg: out/a.jpg.png stays beside a.jpg; {beside}"]


def test_a_folder_is_not_replaced_even_by_force(run):
    save("photos/a.jpg")
    save("photos/b/c.jpg")
    Path("out/a.jpg").mkdir(parents=True)
    Path("out/b").write_text("notes")
    for force in ((), ("--force",)):
        code, _, errors = run("photos", "--out", "out", *force)
        assert code == 1
        assert "out/a.jpg" in errors[0]
        assert "out/b/c.jpg cannot be written: " in errors[1]
        assert files("out") == ["b"]


def test_force_makes_nothing_anew_that_is_the_same(run):
    save("a.jpg")
    run("a.jpg", "--out", "out")
    assert "left as they were: 1" in run("a.jpg", "--out", "out", "--force")[1]


QUICK = """
import sys
from pipeline import __main__
from pipeline.colouring import colourise_files
from pipeline.colourise import Colouriser, paint_nothing
colourise_files.load_painter = lambda *_: colourise_files.Painter(
    lambda page: Colouriser(paint_nothing).paint([page])[0],
    colourise_files.Made(source="", models=("none",), size=64, version="1"),
)
sys.argv = ["pipeline", "colourise", "photos", "--out", "out"]
__main__.main()
"""


def without_torch(code=QUICK):
    """The command in a process of its own, with a network that needs no time to load, and paints grey."""
    command, environment = (sys.executable, "-c", code), os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_runs_into_one_folder_at_once_both_succeed(run, tmp_path):
    for number in range(6):
        save(f"photos/{number}.jpg")
    both = [without_torch() for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0)] * 2
    assert files("out") == [f"{number}.jpg" for number in range(6)]


NAMES = [
    *("-rf.jpg", "--out.jpg", "%s%n{}.jpg", "*.jpg", "~.jpg", "$(x).jpg", "'\".jpg", "a\\b.jpg", "con.jpg"),
    *("new\nline.jpg", "\r.jpg", "\t.jpg", "\x1b[31mred.jpg", "\x7f.jpg", "\x85.jpg", "\u2028.jpg"),
    *(" .jpg", "trailing .jpg", "dot..jpg", "a.jpg", "A.jpg", "a.JPG", "\u00e9.jpg", "e\u0301.jpg"),
    *("\u202egpj.jpg", "\ufeff.jpg", "\U0001f469\u200d\U0001f4bb.jpg", "\U000e0001.jpg"),
    *("a" * 251 + ".jpg", "\u00e9" * 125 + ".jpg", b"\xff\xfe.jpg", b"caf\xe9.jpg", b"\x80" * 251 + b".jpg"),
]


def test_a_name_like_any_other_is_any_that_the_file_system_takes(run):
    Path("photos/\n\udcff").mkdir(parents=True)
    names = sorted(map(os.fsdecode, NAMES))
    content = save("a.jpg").read_bytes()
    for name in names:
        Path("photos/\n\udcff", name).write_bytes(content)
    for name in ("b" * 251 + ".gif", "c" * 255, "d.gif"):
        save(f"photos/{name}", format="GIF")
    save("photos/" + "e" * 251 + ".jpg", "RGBA", format="PNG")
    code, output, errors = run("photos", "--out", "out")
    assert (code, output) == (1, f"written: {len(names) + 1} photographs in out\n")
    assert errors == [
        *(
            f"photos/{name}: out/{name}.png cannot be written: File name too long"
            for name in ("b" * 251 + ".gif", "c" * 255, "e" * 251 + ".jpg")
        ),
        f"error: 3 of {len(names) + 4} failed, for the reasons above",
    ]
    assert sorted(path.name for path in Path("out/\n\udcff").iterdir()) == names
    assert sorted(path.name for path in Path("out").iterdir()) == ["\n\udcff", "d.gif.png"]
    one = Path("photos/\n\udcff", os.fsdecode(b"\xff\xfe.jpg"))
    assert run(one, "--out", "one")[:2] == (0, "written: one/\\udcff\\udcfe.jpg\n")
    Path("one", one.name).write_text("notes")
    code, output, errors = run("--out", "one", "--", one, "photos/\n\udcff/-rf.jpg")
    assert (code, output) == (1, "written: one/-rf.jpg\n")
    assert errors[0] == (
        "photos/\\n\\udcff/\\udcff\\udcfe.jpg: one/\\udcff\\udcfe.jpg is there and no result of this command; "
        "move it away, or add --force"
    )


@settings(max_examples=50, deadline=None)
@given(names=st.sets(st.binary(min_size=1, max_size=251), min_size=1, max_size=5))
def test_whatever_its_name_each_photograph_becomes_a_result(names):
    names = {os.fsdecode(name.translate(None, b"/\0") + b".png") for name in names}
    names = {name for name in names if not name.startswith(".")}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as errors:
        photos, out = Path(folder, "photos"), Path(folder, "out")
        photos.mkdir()
        for name in names:
            save(photos / name, size=(2, 2), format="PNG")
        tally = colourise_files.Tally()
        plan = destinations.plan([photos / name for name in names], out)
        painter = colourise_files.Painter(
            lambda page: page.opaque, colourise_files.Made(source="", models=("none",), size=64, version="1")
        )
        colourise_files.colour_all(plan, painter, tally, force=False)
        assert (len(tally.written), tally.failed) == (len(names), 0)
        assert {path.name for path in out.glob("*")} == names
        assert tally.summary(out, 0, 0).isprintable()
        assert errors.getvalue().replace("\n", "").isprintable()


def test_what_is_wrong_with_one_photograph_is_its_own_fault(run):
    for name in ("a.png", "b/c.png", "locked/d.png"):
        save(f"photos/{name}")
    Path("photos/broken.png").symlink_to("nowhere")
    Path("photos/loop.png").symlink_to("loop.png")
    Path("photos/b/round").symlink_to("..")
    os.mkfifo("photos/pipe.png")
    save("out/b", format="PNG")
    code, output, errors = run("photos", "photos/broken.png", "photos/loop.png", "photos/pipe.png", "--out", "out")
    assert code == 1
    assert output == "written: 2 photographs in out\n"
    assert sorted(files("out")) == ["a.png", "b", "locked/d.png"]
    said = dict(line.removeprefix("photos/").split(": ", 1) for line in errors if line.startswith("photos/"))
    assert said["broken.png"] == "a broken link"
    assert said["loop.png"] == "Too many levels of symbolic links"
    assert said["pipe.png"] == "neither a file nor a folder"
    assert said["b/c.png"] == "out/b/c.png cannot be written: File exists (out/b)"


def test_a_photograph_that_vanishes_before_it_is_read_is_named(run, monkeypatch):
    for name in ("a.png", "b.png"):
        save(f"photos/{name}")
    make = destinations.make

    def vanish(out):
        Path("photos/a.png").unlink()
        make(out)

    monkeypatch.setattr(destinations, "make", vanish)
    code, output, errors = run("photos", "--out", "out")
    assert (code, output) == (1, "written: out/b.png\n")
    assert errors == ["photos/a.png: No such file or directory", "error: 1 of 2 failed, for the reasons above"]


@pytest.mark.parametrize("arguments", [("", "--out", "out"), ("photos", "--out", ""), ("photos", "", "--out", "out")])
def test_an_empty_path_is_not_the_current_folder(run, arguments):
    save("photos/a.png")
    code, output, errors = run(*arguments)
    assert (code, output) == (1, "")
    assert errors == ["error: given an empty path; name a file or folder, the current folder by a dot"]
    assert files(".") == ["photos/a.png"]


def test_formats_that_are_not_kept_take_nobodys_name(run):
    for name in ("a.gif", "a.png", "a.jpg", "a.ppm"):
        save(f"photos/{name}")
    assert run("photos", "photos/a.jpg", "--out", "out")[0] == 0  # one given twice is no conflict either
    assert files("out") == ["a.gif.png", "a.jpg", "a.png", "a.ppm.png"]


@pytest.mark.parametrize("other", ["a.jpg.png", "A.JPG.png"])
def test_a_result_with_alpha_does_not_take_the_place_of_another(run, other):
    save("photos/a.jpg", "RGBA", format="PNG")
    save(f"photos/{other}")
    for _ in range(2):
        code, _, errors = run("photos", "--out", "out")
        assert code == 1
        assert "rename one of them" in errors[0]
        assert files("out") == [other]


def test_a_comparison_is_one_picture_a_photograph(run):
    save("photos/a.jpg")
    save("photos/deeper/b.webp", "RGBA")
    assert run("photos", "--out", "out", "--compare")[0] == 0
    assert files("out") == ["a.jpg.compared.png", "deeper/b.webp.compared.png"]
    assert run("photos/a.jpg", "--compare")[0] == 0
    assert files("photos") == ["a.jpg", "a.jpg.compared.png", "deeper/b.webp"]
    with Image.open("out/a.jpg.compared.png") as drawn:
        assert drawn.size == (4 * 40 + 3 * 8, 30)


def test_photographs_are_read_only_a_few_ahead_and_come_in_order():
    begun = []

    class Pool:
        def submit(self, work, item):
            begun.append(item)
            return work(item)

    ahead = colourise_files._ahead(Pool(), str, range(10))
    assert next(ahead) == (0, "0")
    assert len(begun) == colourise_files.THREADS + 1
    assert [item for item, _ in ahead] == list(range(1, 10))


def test_what_was_trained_here_comes_before_the_model_that_comes_along(run):
    save("a.jpg")
    assert "the included model" not in run("a.jpg", "--out", "out")[1]
    Path("models").unlink()
    code, output, _ = run("a.jpg", "--out", "other")
    assert code == 0
    assert output.endswith(", by photograph, the included model\n")


def test_help_says_how_large_a_picture_the_network_sees(run):
    assert f"by default {SIZE}" in " ".join(run("--help")[1].replace("│", " ").split())


def test_pictures_that_are_not_read_are_no_success(run):
    save("photos/a.jpg")
    save("photos/without a suffix", format="PNG")
    Path("photos/b.jxl").write_bytes(b"\xff\x0a\xfa\x1f")
    Path("photos/c.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name in ("film.mpg", "notes.txt", "a.xmp"):
        Path("photos", name).write_bytes(b"\0\0\1\xba none of ours")
    code, output, errors = run("photos", "--out", "out")
    assert (code, output) == (1, "written: 2 photographs in out\n")
    assert files("out") == ["a.jpg", "without a suffix.png"]
    assert errors == [
        "photos: files of other kinds passed over: 1 .xmp, 1 .mpg, 1 .txt",
        "photos/b.jxl: JPEG XL, which is not read here; save it as JPEG, PNG or TIFF",
        "photos/c.jpg: PostScript, which is not read here; export it as PNG or TIFF",
        "error: 2 of 4 failed, for the reasons above",
    ]


def test_pages_and_frames_become_pages_and_frames_whatever_the_file_is_called(run):
    frames = [Image.linear_gradient("L").resize((40, 30)).rotate(angle) for angle in (0, 90, 180)]
    for name, kind in (("a.gif", "GIF"), ("b.webp", "WEBP"), ("c.tif", "TIFF"), ("d.jpg", "GIF"), ("e.jpg", "TIFF")):
        frames[0].save(name, kind, save_all=True, append_images=frames[1:], duration=[40, 200, 1000])
    for _ in range(2):
        code, _, errors = run("a.gif", "b.webp", "c.tif", "d.jpg", "e.jpg", "--out", "out")
        assert (code, errors) == (0, [])
        assert files("out") == ["a.gif.png", "b.webp", "c.tif", "d.jpg.png", "e.jpg.tif"]
    for name in files("out"):
        with Image.open(Path("out") / name) as coloured:
            assert coloured.n_frames == 3
            for number, frame in enumerate(frames):
                coloured.seek(number)
                grey = np.asarray(coloured.convert("L")).astype(int)
                assert np.abs(grey - np.asarray(frame)).mean() < 15


def test_what_is_left_out_of_a_result_is_told(run):
    save("a.webp", xmp=b"not XMP")
    save("b.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (20, 15))])
    code, _, errors = run("a.webp", "b.jpg", "--out", "out")
    assert code == 0
    assert sorted(line.partition(" (")[0] for line in errors) == [
        "a.webp: left out: XMP",
        "b.jpg: left out: what follows the photograph in its file: another view, a gain map or depths",
    ]


def test_a_jpeg_whose_end_is_missing_is_coloured_if_one_asks_for_it(run):
    content = save("a.jpg").read_bytes()
    Path("a.jpg").write_bytes(content[:-2])
    code, _, errors = run("a.jpg", "--out", "out")
    assert (code, files("out")) == (1, [])
    assert errors[0].endswith("give another copy of it, or have what is there coloured by --damaged")
    code, _, errors = run("a.jpg", "--out", "out", "--damaged")
    assert (code, errors) == (0, ["a.jpg: its end is missing; what there was in it is grey"])
    with Image.open("out/a.jpg") as coloured:
        assert coloured.size == (40, 30)


def test_broken_metadata_are_one_line(run):
    exif = Image.Exif()
    exif[0x010E], exif[0x010F] = "a description of some length", "a camera"
    content = save("a.jpg", exif=exif).read_bytes()
    Path("a.jpg").write_bytes(content.replace(b"\0\x1d\0\0\0", b"\0\x1d\x7f\0\0", 1))
    code, _, errors = run("a.jpg", "--out", "out")
    assert (code, errors) == (0, ["a.jpg: left out: 1 EXIF or TIFF tags (broken)"])
