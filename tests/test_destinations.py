import os
import unicodedata
from itertools import permutations
from pathlib import Path

import pytest
from PIL import Image

from pipeline.colouring import destinations
from pipeline.colouring.destinations import check, make, plan, tell_apart
from pipeline.photographs import writing
from pipeline.photographs.xmp import Made
from pipeline.system.errors import PipelineError
from tests.somebody import somebody


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(name):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path, format="PNG")
    return path


def result(name):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Made(source="0", models=("0",), size=64, version="1")
    path.touch()
    writing.save([Image.new("RGB", (4, 4))], path, "PNG", made=made)
    return path


def places(*photos, out="out"):
    """The real file of each photograph → where its result goes, whatever the order of the arguments."""
    planned = [plan([Path(photo) for photo in some], Path(out)) for some in permutations(photos)]
    found = [
        {os.path.realpath(source): target.relative_to(out).as_posix() for source, target in one.targets.items()}
        for one in planned
    ]
    assert all(one == found[0] for one in found)
    return {Path(source).relative_to(Path.cwd()).as_posix(): place for source, place in found[0].items()}


def refusal(work, *arguments):
    with pytest.raises(PipelineError) as caught:
        work(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "photos",
    [
        ("a",),
        ("a", "a"),
        ("a", "a/sub"),
        ("a", "a/sub/y.png"),
        ("a", "a/x.png", "a/sub/../sub"),
        ("./a/../a", "a/sub/y.png"),
        ("a", "link"),
        ("link", "a/sub"),
        ("a", "link/sub", "link/x.png"),
        ("a", "link/sub/deeper"),
    ],
)
def test_a_place_is_that_below_the_outermost_folder_in_whatever_order_and_by_whatever_name(photos):
    for name in ("a/x.png", "a/sub/y.png", "a/sub/deeper/z.png"):
        save(name)
    Path("link").symlink_to("a")
    assert places(*photos) == {
        "a/x.png": "x.png",
        "a/sub/y.png": "sub/y.png",
        "a/sub/deeper/z.png": "sub/deeper/z.png",
    }


def test_a_file_alone_has_its_own_name(tmp_path):
    save("a/x.png")
    save("b/y.gif")
    for photos in (("a/x.png", "b"), (tmp_path / "a/x.png", "b/y.gif", "a/../b/y.gif")):
        assert places(*photos) == {"a/x.png": "x.png", "b/y.gif": "y.gif.png"}


def test_what_keeps_its_format_keeps_its_name(tmp_path):
    names = ("a.jfif", "b.JPE", "c.jif", "d.apng", "e.webp", "f.tif")
    for name in (*names, "g.gif"):
        save(tmp_path / name)
    planned = plan([tmp_path], Path("out"))
    assert {path.name for path in planned.targets.values()} == {*names, "g.gif.png"}


def test_one_photograph_by_two_links_of_one_name_is_no_conflict_and_by_two_names_is_two():
    save("a/x.png")
    for name in ("b/x.png", "c/y.png"):
        Path(name).parent.mkdir()
        Path(name).symlink_to("../a/x.png")
    assert set(plan([Path("b"), Path("a")], Path("out")).targets.values()) == {Path("out/x.png")}
    assert set(plan([Path("c"), Path("a")], Path("out")).targets.values()) == {Path("out/x.png"), Path("out/y.png")}


def test_two_albums_of_the_same_names_are_refused_in_whatever_order():
    save("a/x.png")
    save("b/x.png")
    said = {refusal(plan, [Path(one), Path(two)], Path("out")) for one, two in (("a", "b"), ("b", "a"))}
    assert said == {"a/x.png and b/x.png would both become out/x.png; colour them into different folders"}
    assert places("a", "b", "a/..") == {"a/x.png": "a/x.png", "b/x.png": "b/x.png"}


def test_results_are_no_photographs_unless_they_are_named_in_whatever_order():
    save("a/x.png")
    for name in ("a/coloured/x.png", "elsewhere/y.png", "elsewhere/.hidden.png"):
        result(name)
    assert places("a") == {"a/x.png": "x.png"}
    assert places("a", "elsewhere") == {"a/x.png": "x.png"}
    assert places("a", "elsewhere", "elsewhere/y.png") == {"a/x.png": "x.png", "elsewhere/y.png": "y.png"}
    planned = plan([Path("a"), Path("a/coloured"), Path("elsewhere"), Path("elsewhere/y.png")], Path("out"))
    assert planned.results == {Path("a/coloured/x.png").absolute()}


def test_photographs_among_the_results_are_passed_over_and_not_called_results():
    save("a/x.png")
    save("a/1990/y.png")
    result("a/1990/z.png")
    planned = plan([Path("a")], Path("a/1990"))
    assert planned.targets == {Path("a/x.png"): Path("a/1990/x.png")}
    assert planned.inside == {Path("a/1990/y.png").absolute()}
    assert planned.results == {Path("a/1990/z.png").absolute()}


def test_a_folder_behind_links_that_lead_in_a_circle_is_refused_in_one_line():
    save("a/x.png")
    Path("circle").symlink_to("circle")
    planned = plan([Path("a")], Path("circle/out"))
    with pytest.raises(PipelineError) as refused:
        make(*planned.folders)
    assert "\n" not in str(refused.value)


def test_no_photograph_is_replaced_be_it_by_the_result_of_another():
    save("a/x.png")
    save("out/a/x.png")
    Path("other").mkdir()
    Path("other/x.png").symlink_to(Path("a/x.png").absolute())
    assert "out/a/x.png would be replaced by" in refusal(plan, [Path("a/.."), Path("out/a/x.png")], Path("out"))
    assert "a/x.png would be replaced by" in refusal(plan, [Path("a/x.png")], Path("a"))
    assert "a/x.png would be replaced by other/x.png" in refusal(plan, [Path("a/x.png")], Path("other"))


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file", "given file, which is a file; give a folder"),
        ("file/out", "given file, which is a file"),
        ("file/deeper/out", "given file, which is a file"),
        ("link-to-file", "which is a file"),
        ("broken", "given a broken link"),
        ("loop", "given a broken link"),
        *(
            (name, "given the name of a picture")
            for name in ("result.jpg", "new/RESULT.PNG", "a.tiff", "a.heif", "a.NEF")
        ),
    ],
)
def test_an_unfit_out_is_refused(out, said):
    Path("file").write_text("notes")
    for link, target in (("link-to-file", "file"), ("broken", "nowhere"), ("loop", "loop")):
        Path(link).symlink_to(target)
    before = sorted(Path.cwd().rglob("*"))
    assert said in refusal(check, Path(out))
    assert sorted(Path.cwd().rglob("*")) == before


def test_an_out_that_is_fit_is_made_and_nothing_else():
    Path("there.jpg").mkdir()
    Path("link").symlink_to("there.jpg")
    for out in ("there.jpg", "link", "new", "new/deeper/2.5", ".", "..", "a" * 255):
        check(Path(out))
        make(Path(out))
        assert Path(out).is_dir()
    assert not [path for path in Path.cwd().rglob("*") if not path.is_dir()]


@pytest.mark.parametrize("out", ["a" * 256, "a/" * 3000], ids=["name", "path"])
def test_an_out_that_the_system_does_not_take_is_refused(out):
    check(Path(out))
    assert "File name too long; give a folder that can be written" in refusal(make, Path(out))


@pytest.fixture
def reachable():
    """Whatever another user needs of this process and its folder."""
    Image.init()  # whose modules somebody may not read
    Path.cwd().chmod(0o755)


def test_an_out_that_may_not_be_written_is_refused(reachable):
    Path("out").mkdir(mode=0o555)
    with somebody():
        assert refusal(make, Path("out")) == "--out out: Permission denied; give a folder that can be written"


def test_what_cannot_be_looked_at_in_a_folder_fails_by_name(reachable):
    for name in ("a/x.png", "a/locked/y.png"):
        save(name)
    for name in ("broken.jpg", "broken.NEF", "notes.txt"):
        Path("a", name).symlink_to("nowhere")
    Path("a/locked").chmod(0)
    with somebody():
        planned = plan([Path("a")], Path("out"))
    Path("a/locked").chmod(0o755)
    assert planned.targets == {Path("a/x.png"): Path("out/x.png")}
    broken = {Path("a", name): "a broken link" for name in ("broken.jpg", "broken.NEF")}
    assert planned.failed == {Path("a/locked"): "may not be opened"} | broken


def test_what_is_wrong_with_one_of_the_files_that_are_given_is_its_own_fault():
    save("a.png")
    Path("broken.png").symlink_to("nowhere")
    Path("loop.png").symlink_to("loop.png")
    os.mkfifo("pipe.png")
    faulty = ("broken.png", "loop.png", "pipe.png", "b" * 256)
    planned = plan([Path(name) for name in ("a.png", *faulty)], Path("out"))
    assert planned.targets == {Path("a.png"): Path("out/a.png")}
    assert {path.name: reason for path, reason in planned.failed.items()} == {
        "broken.png": "a broken link",
        "loop.png": "Too many levels of symbolic links",
        "pipe.png": "neither a file nor a folder",
        "b" * 256: "File name too long",
    }
    assert "gone.png: no such photograph or folder" in refusal(plan, [Path("gone.png")], Path("out"))
    assert "a.png/b.png: no such photograph" in refusal(plan, [Path("a.png/b.png")], Path("out"))


NAMES = ("a.png", "A.png", "\u00e9.png", "e\u0301.png", "sub/b.png", "Sub/B.PNG", "\u00df.png", "SS.png", "c.png")


def test_where_names_are_told_apart_all_photographs_have_their_place():
    Path("out").mkdir()
    targets = {Path("photos") / name: Path("out") / name for name in NAMES}
    assert tell_apart(targets, Path("out")) == {}
    assert list(Path("out").iterdir()) == []


def test_where_names_are_not_told_apart_the_first_has_the_place(monkeypatch):
    """As on the disks of macOS and Windows, to which case and composition of accents are nothing."""
    Path("out").mkdir()
    identity = destinations._identity

    def careless(path):
        """What there is under any name that is the same but for case and composition."""
        same = [there for there in path.parent.parent.rglob("*") if simple(there) == simple(path)]
        return identity(min(same)) if same else None

    def simple(path):
        return unicodedata.normalize("NFC", str(path)).lower()

    monkeypatch.setattr(destinations, "_identity", careless)
    targets = {Path("photos") / name: Path("out") / name for name in NAMES}
    failed = tell_apart(targets, Path("out"))
    assert {path.relative_to("photos").as_posix() for path in failed} == {"A.png", "e\u0301.png", "Sub/B.PNG"}
    assert failed[Path("photos/A.png")] == (
        "would become out/A.png, which is no other file here than that of photos/a.png"
    )
    assert list(Path("out").iterdir()) == []
