from PIL import Image

from pipeline.photographs import reading

RED = (200, 30, 30)


def test_a_photograph_is_read_upright_and_its_exif_data_say_so(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    Image.new("RGB", (40, 20), RED).save(tmp_path / "a.jpg", exif=exif)
    (page,), (carried,), _ = reading.read(tmp_path / "a.jpg")
    assert page.opaque.size == (20, 40)
    kept = Image.Exif()
    kept.load(carried.exif)
    assert dict(kept) == {0x010F: "a camera"}


def test_pictures_are_found_below_a_folder_and_the_rest_is_counted(tmp_path, capsys):
    for name in ("b.JPG", "a/c.png", "a/.hidden.png", ".trash/d.png", "notes.txt", "a/e.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert reading.find(tmp_path).files == [tmp_path / name for name in ("a/c.png", "a/e.webp", "b.JPG")]
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}: left out: hidden or of the system: 2 (.trash, …)",
        f"{tmp_path}: files of other kinds passed over: 1 .txt",
    ]


def test_reasons_are_one_line():
    assert reading.reason(PermissionError(13, "Permission denied", "a.jpg")) == "Permission denied"
    assert reading.reason(ValueError("one\n  two")) == "one two"
    assert reading.reason(ValueError()) == "ValueError"


def test_who_lets_pillow_read_any_size_may_read_here_too(tmp_path, monkeypatch):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert reading.read(tmp_path / "a.png").pages[0].opaque.size == (8, 4)
