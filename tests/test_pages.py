import io

import numpy as np
import pytest
from PIL import Image

from pipeline.photographs import reading, tags, tones, writing
from pipeline.photographs.tags import Tag, Tags
from pipeline.system.errors import PipelineError
from tests.pictures import rgb_profile

COLOURS = [(200, 30, 30), (30, 160, 40), (20, 40, 180), (210, 200, 60)]


def frames(size=(40, 30), count=4):
    return [Image.new("RGB", size, colour) for colour in COLOURS[:count]]


def shown(photograph):
    """The colour of each page."""
    return [np.asarray(tones.to_rgb(page))[5, 5].astype(int) for page in photograph.pages]


def written(path, photograph, kind):
    """The result of a photograph, if a network gave it the colours that it has."""
    kind = writing.fit(kind, photograph)
    path.touch()
    told = writing.save([tones.to_rgb(page) for page in photograph.pages], path, kind, photograph.carried)
    return Image.open(path), told


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif"])
@pytest.mark.parametrize("loop", [0, 3, None])
def test_an_animation_keeps_its_frames_how_long_they_are_shown_and_how_often(tmp_path, name, loop):
    durations = [40, 120, 500, 1000]
    options = {} if loop is None else {"loop": loop}
    first, *others = frames()
    first.save(tmp_path / name, save_all=True, append_images=others, duration=durations, **options)
    photograph = reading.read(tmp_path / name)
    assert photograph.told == []
    for colour, expected in zip(shown(photograph), COLOURS, strict=True):
        assert np.abs(colour - expected).max() < 12
    kind = "WEBP" if name == "a.webp" else "PNG"
    with Image.open(tmp_path / name) as source:
        given = source.info.get("loop", 0 if name == "a.avif" else 1)
    if name == "a.gif" and loop:  # which says how often it is shown again
        given += 1
    for planned in {kind, "JPEG", "TIFF"} - ({"JPEG", "TIFF"} if kind == "WEBP" else set()):
        result, told = written(tmp_path / "result", photograph, planned)
        assert (told, result.format, result.n_frames, result.info["loop"]) == ([], kind, 4, given)
        found = []
        for number, expected in enumerate(COLOURS):
            result.seek(number)
            result.load()
            found.append(result.info["duration"])
            assert np.abs(np.asarray(result.convert("RGB"))[5, 5].astype(int) - expected).max() < 12
        assert found == durations


def test_a_gif_that_is_shown_as_often_as_can_be_becomes_a_webp(tmp_path):
    first, *others = frames()
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=40, loop=0xFFFF)
    result, told = written(tmp_path / "result", reading.read(tmp_path / "a.gif"), "WEBP")
    assert (told, result.info["loop"]) == ([], 0xFFFF)


def test_frames_of_which_some_are_transparent_make_one_animation(tmp_path):
    solid, glass = Image.new("RGBA", (40, 30), (200, 30, 30, 255)), Image.new("RGBA", (40, 30), (20, 40, 180, 90))
    solid.save(tmp_path / "a.png", save_all=True, append_images=[glass, solid], duration=100)
    photograph = reading.read(tmp_path / "a.png")
    pages = [page.opaque.convert("RGB") for page in photograph.pages]
    pages[1].putalpha(photograph.pages[1].alpha)
    for kind in ("PNG", "WEBP"):
        (tmp_path / "result").touch()
        writing.save(pages, tmp_path / "result", kind, photograph.carried)
        with Image.open(tmp_path / "result") as result:
            alphas = []
            for number in range(result.n_frames):
                result.seek(number)
                alphas.append(np.asarray(result.convert("RGBA"))[5, 5, 3])
        assert alphas == [255, 90, 255]


def test_all_pages_of_a_tiff_are_kept_each_with_its_size_and_tags(tmp_path):
    pages = [Image.new("RGB", (40 + number, 30), colour) for number, colour in enumerate(COLOURS)]
    pages[1] = pages[1].convert("L")
    pages[2] = pages[2].convert("CMYK")
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    names = [
        Tags("<", {285: tags.text(f"page ä{number}"), 282: Tag(5, bytes([200 + number, 0, 0, 0, 1, 0, 0, 0]))}, [])
        for number in range(4)
    ]
    tags.add(tmp_path / "a.tif", names)
    photograph = reading.read(tmp_path / "a.tif")
    assert [page.opaque.size for page in photograph.pages] == [(40, 30), (41, 30), (42, 30), (43, 30)]
    for planned in ("TIFF", "JPEG", "PNG"):
        result, told = written(tmp_path / "result", photograph, planned)
        assert (result.format, result.n_frames, told) == ("TIFF", 4, [])
        for number, page in enumerate(photograph.pages):
            result.seek(number)
            assert result.size == page.opaque.size
            assert np.array_equal(np.asarray(result), np.asarray(tones.to_rgb(page)))
            assert result.tag_v2[285].encode("latin-1").decode() == f"page ä{number}"
            assert result.tag_v2[282] == 200 + number


@pytest.mark.parametrize("subfile", [1, 4, 5])
def test_thumbnails_and_masks_of_a_tiff_are_no_photographs(tmp_path, subfile):
    first, second, third, _ = frames()
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second, third])
    no_page = Tags("<", {254: Tag(4, bytes([subfile, 0, 0, 0]))}, [])
    tags.add(tmp_path / "a.tif", [Tags("<", {}, []), no_page, Tags("<", {}, [])])
    photograph = reading.read(tmp_path / "a.tif")
    assert [colour.tolist() for colour in shown(photograph)] == [list(COLOURS[0]), list(COLOURS[2])]
    assert photograph.told == ["left out: pages that are thumbnails or masks: 1"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_page_of_a_tiff_is_upright(tmp_path, orientation):
    first, second, *_ = frames()
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    tags.add(tmp_path / "a.tif", [Tags("<", {274: Tag(3, bytes([number, 0]))}, []) for number in (1, orientation)])
    photograph = reading.read(tmp_path / "a.tif")
    turned = (40, 30) if orientation < 5 else (30, 40)
    assert [page.opaque.size for page in photograph.pages] == [(40, 30), turned]
    result, _ = written(tmp_path / "result.tif", photograph, "TIFF")
    result.seek(1)
    assert result.size == turned
    assert 274 not in result.tag_v2


def test_what_follows_a_jpeg_is_left_out_and_told(tmp_path):
    first, second, *_ = frames()
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    photograph = reading.read(tmp_path / "a.jpg")
    assert len(photograph.pages) == 1
    assert np.abs(shown(photograph)[0] - COLOURS[0]).max() < 6
    assert photograph.told == ["left out: what follows the photograph in its file: another view, a gain map or depths"]


def test_the_picture_that_is_no_part_of_an_animation_is_left_out(tmp_path):
    first, *others = frames()
    first.save(tmp_path / "a.png", save_all=True, default_image=True, append_images=others, duration=70)
    photograph = reading.read(tmp_path / "a.png")
    assert [colour.tolist() for colour in shown(photograph)] == [list(colour) for colour in COLOURS[1:]]
    assert photograph.told == ["left out: the picture for programs that show no animations"]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.avif", "a.tif"])
def test_all_pages_together_are_bounded(tmp_path, name):
    first, *others = frames()
    first.save(tmp_path / name, save_all=True, append_images=others)
    assert len(reading.read(tmp_path / name, most=4 * 40 * 30).pages) == 4
    with pytest.raises(PipelineError, match="megapixels in 4 pages, of which"):
        reading.read(tmp_path / name, most=4 * 40 * 30 - 1)
    assert len(reading.read(tmp_path / name, smallest=10, most=40 * 30).pages) == 1


def test_a_thumbnail_in_front_is_not_taken_for_the_picture(tmp_path):
    thumbnail, photograph, *_ = frames()
    thumbnail.resize((20, 15)).save(tmp_path / "a.tif", save_all=True, append_images=[photograph])
    tags.add(tmp_path / "a.tif", [Tags("<", {254: Tag(4, bytes([number, 0, 0, 0]))}, []) for number in (1, 0)])
    for smallest in (None, 10):
        (page,) = reading.read(tmp_path / "a.tif", smallest=smallest).pages
        assert page.opaque.size == (40, 30)


def test_what_is_broken_behind_it_spoils_no_page_that_is_enough(tmp_path):
    first, second, *_ = frames()
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.tif") as picture:
        place = picture.tag_v2.next
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[place + 2 : place + 4] = b"\1\2"  # a side that it no longer has
    (tmp_path / "a.tif").write_bytes(content)
    (page,) = reading.read(tmp_path / "a.tif", smallest=10).pages
    assert page.opaque.size == (40, 30)
    with pytest.raises(PipelineError):
        reading.read(tmp_path / "a.tif")


def test_the_page_that_cannot_be_read_is_named(tmp_path):
    first, second, *_ = frames()
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second], compression="tiff_adobe_deflate")
    with Image.open(tmp_path / "a.tif") as picture:
        picture.seek(1)
        place = picture.tag_v2[273][0]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[place : place + 12] = bytes(12)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(PipelineError, match=r"^a broken picture \(page 2: .*\); give another copy of it$"):
        reading.read(tmp_path / "a.tif")


@pytest.mark.parametrize("missing", [1, 2, 3, 200])
def test_a_jpeg_whose_end_is_missing_is_read_if_one_asks_for_it(tmp_path, missing):
    # Always the same: in a few of a hundred all pixels come before the last bytes, and no end is missing.
    noise = np.random.default_rng(1).normal(128, 60, (200, 200)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noise).convert("RGB").save(tmp_path / "whole.jpg", quality=90)
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[:-missing])
    with pytest.raises(reading.Damaged, match="its end is missing"):
        reading.read(tmp_path / "a.jpg")
    photograph = reading.read(tmp_path / "a.jpg", damaged=True)
    assert photograph.told == ["its end is missing; what there was in it is grey"]
    whole = np.asarray(reading.read(tmp_path / "whole.jpg", damaged=True).pages[0].opaque)
    assert np.array_equal(np.asarray(photograph.pages[0].opaque)[:180], whole[:180])
    with pytest.raises(reading.Damaged):  # nothing of it stays switched on
        reading.read(tmp_path / "a.jpg")


def test_other_files_whose_end_is_missing_are_refused_even_if_one_asks_for_it(tmp_path):
    for kind in ("PNG", "WEBP", "TIFF", "GIF"):
        file = io.BytesIO()
        Image.effect_noise((200, 200), 60).save(file, kind)
        (tmp_path / "a").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
        with pytest.raises(PipelineError, match=r"broken|truncated"):
            reading.read(tmp_path / "a", damaged=True)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_no_page_of_a_tiff_has_what_another_one_says(tmp_path, order):
    grey = np.full((30, 40, 3), 128, np.uint8)
    palette = Image.fromarray(grey).quantize(2)
    linear, bare = Image.fromarray(grey), Image.fromarray(grey)
    palette.encoderinfo = bare.encoderinfo = {"icc_profile": b"", "dpi": None}  # to write with each page
    linear.encoderinfo = {"icc_profile": rgb_profile(1), "dpi": (300, 300)}
    pages = [(palette, 128, None), (linear, 188, (300, 300)), (bare, 128, None)]
    pages = [pages[place] for place in order]
    first, *others = [page for page, _, _ in pages]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others, **first.encoderinfo)
    photograph = reading.read(tmp_path / "a.tif")
    assert [tuple(colour) for colour in shown(photograph)] == [(tone,) * 3 for _, tone, _ in pages]
    assert [page.dpi for page in photograph.carried] == [dpi for _, _, dpi in pages]
