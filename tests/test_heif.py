import io
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.photographs import heif, reading, tags, writing
from tests.hostile import change_bytes, refusal
from tests.pictures import rgb_profile
from tests.test_carried import PACKET, exif

heif.register()
PQ, HLG = 16, 18


def ramp(size=(96, 64)):
    """Dark at the top, light at the bottom."""
    return Image.linear_gradient("L").resize(size).convert("RGB")


def heic(picture=None, **options):
    file = io.BytesIO()
    (picture or ramp()).save(file, "HEIF", quality=-1, chroma=444, **options)
    return file.getvalue()


def with_sides(content, width, height, only=slice(None)):
    """A file that claims other sides."""
    places = [match.start() + 8 for match in re.finditer(b"ispe", content)][only]
    assert places
    for place in places:
        content = content[:place] + struct.pack(">II", width, height) + content[place + 8 :]
    return content


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pixels_are_what_they_were(mode):
    given = ramp().convert(mode)
    (page,), _, told = reading.read(heic(given))
    assert told == []
    assert page.opaque.mode == mode.replace("A", "")
    off = np.asarray(page.opaque).astype(int) - np.asarray(given.convert(page.opaque.mode))
    assert np.abs(off).max() <= 2
    assert (page.alpha is not None) == (mode == "RGBA")


def test_a_process_that_has_just_begun_reads_it(tmp_path):
    (tmp_path / "photo.heic").write_bytes(heic())
    look = (
        "import pathlib, sys; from pipeline.photographs import reading; "
        "print(reading.read(pathlib.Path(sys.argv[1])).pages[0].opaque.size)"
    )
    seen = subprocess.run([sys.executable, "-c", look, str(tmp_path / "photo.heic")], capture_output=True, text=True)
    assert (seen.stdout, seen.stderr) == ("(96, 64)\n", "")


@pytest.mark.parametrize(("orientation", "size"), [(1, (96, 64)), (3, (96, 64)), (6, (64, 96)), (8, (64, 96))])
def test_a_photograph_is_turned_once(orientation, size):
    given = Image.Exif()
    given[0x0112] = orientation
    picture = ramp()
    (page,), (carries,), _ = reading.read(heic(picture, exif=given.tobytes()))
    assert page.opaque.size == size
    turn = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
    expected = picture.transpose(turn[orientation]) if turn[orientation] is not None else picture
    assert np.abs(np.asarray(page.opaque).astype(int) - np.asarray(expected)).max() <= 2
    kept = Image.Exif()
    kept.load(carries.exif or b"")
    assert 0x0112 not in kept


def test_what_it_carries_goes_with_it(tmp_path):
    profile = rgb_profile(1.0)
    content = heic(exif=tags.encode(exif()), xmp=PACKET.format(more="").encode(), icc_profile=profile)
    (page,), (carries,), told = reading.read(content)
    assert told == []
    expected, found = exif().directory, tags.parse(carries.exif).directory
    for number in (0x010E, 0x010F, 0x8298, 0xC4A5, tags.GPS):
        assert found[number] == expected[number]
    assert found[0x011A] == expected[0x011B]  # it was turned
    assert 0x9214 not in found[tags.EXIF]
    assert "Großmutter".encode() in carries.xmp
    assert page.opaque.getpixel((32, 48))[0] > ramp().transpose(Image.Transpose.ROTATE_270).getpixel((32, 48))[0] + 30
    (tmp_path / "a.png").touch()
    assert writing.save([page.opaque], tmp_path / "a.png", "PNG", [carries]) == []


def test_several_pictures_are_pages_and_the_first_for_data_sets_is_the_main_one():
    others = [ramp((40, 32)), ramp((200, 100)).convert("L")]
    content = heic(save_all=True, append_images=others, primary_index=1)
    photograph = reading.read(content)
    assert [page.opaque.size for page in photograph.pages] == [(96, 64), (40, 32), (200, 100)]
    assert writing.fit("PNG", photograph) == "TIFF"
    (page,), _, _ = reading.read(content, smallest=16)
    assert page.opaque.size == (40, 32)


@pytest.mark.parametrize(("transfer", "said"), [(PQ, "PQ"), (HLG, "HLG"), (8, "linear")])
def test_tones_that_are_not_those_of_srgb_are_refused(transfer, said):
    coded = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9, "full_range_flag": 1}
    assert said in refusal(heic(nclx_profile=coded))
    assert reading.read(heic(nclx_profile=coded, icc_profile=rgb_profile(2.2))).told == []  # which counts more


def test_what_is_not_read_is_told():
    info = {"depth_images": [object()], "aux": {"urn:com:apple:photo:2020:aux:hdrgainmap": [3]}}
    assert heif.left_out(info) == ["what belongs to the photograph in its file: a gain map, depths or masks"]
    assert heif.left_out({"metadata": [{"type": "uri ", "content_type": ""}]}) == ["metadata called uri "]
    film = struct.pack(">I4sI4s", 16, b"moov", 8, b"mvhd")
    assert reading.read(heic() + film).told == ["left out: the film in it (of HEIF not read)"]
    (told,) = reading.read(heic(pixel_aspect_ratio=(2, 1))).told
    assert "no squares" in told


@pytest.mark.parametrize("only", [slice(None), slice(1)])
@pytest.mark.parametrize("sides", [(640, 480), (32, 24), (0, 0), (1, 1), (64, 65535), (70000, 70000), (2**32 - 1,) * 2])
def test_sides_that_are_not_those_of_the_pixels_are_refused(sides, only):
    content = with_sides(heic(save_all=True, append_images=[ramp((40, 32))]), *sides, only)
    assert re.search("broken|megapixels|far too many", refusal(content))


def test_bombs_are_refused_before_they_are_decoded():
    content = heic(ramp((512, 512)))
    assert "megapixels, of which 0 million are allowed" in refusal(content, most=500 * 500)
    assert "far too many pixels" in refusal(with_sides(content, 20_000, 20_000))
    cut_out = heic(ramp((60, 50)))  # of 64×64
    assert reading.read(cut_out).pages[0].opaque.size == (60, 50)
    assert "400 megapixels" in refusal(with_sides(cut_out, 20_000, 20_000))
    many = heic(ramp((512, 512)), save_all=True, append_images=[ramp((512, 512))] * 3)
    assert "1 megapixels in 4 pages" in refusal(many, most=3 * 512 * 512)
    assert len(reading.read(many, most=4 * 512 * 512).pages) == 4


def test_a_file_cut_off_anywhere_is_refused():
    content = heic(exif=tags.encode(exif()))
    for length in (*range(12, len(content) - 200, 37), len(content) - 100, len(content) - 1):
        refusal(content[:length])


def test_pixels_in_another_code_are_refused():
    assert "of a kind that is not read" in refusal(heic().replace(b"hvc1", b"vvc1"))


@pytest.mark.parametrize("seed", range(8))
def test_changed_bytes_end_in_a_picture_or_in_one_line(seed):
    change_bytes(heic(save_all=True, append_images=[ramp((40, 32))], exif=tags.encode(exif())), seed, 12)
