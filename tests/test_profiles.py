import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.photographs import reading, tones
from pipeline.system.errors import PipelineError
from tests.pictures import grey_profile, lightness, of_srgb, png, rgb_profile, seen_lightness

STEPS = np.arange(256).reshape(16, 16) / 255
PROFILES = {"grey": grey_profile, "RGB": rgb_profile}


def saved(mode, kind="png", **options):
    """A file of mode with greys from black to white, reopened, and the values there are, (16, 16) in [0, 1]."""
    eight = Image.fromarray((STEPS * 255).astype(np.uint8))
    if mode == "I;16":
        picture = Image.fromarray((STEPS * 65535).astype(np.uint16))
    elif mode == "P":
        picture = eight.copy()
        picture.putpalette([value for value in range(256) for _ in range(3)])
    else:
        picture = eight.convert(mode, dither=Image.Dither.NONE)
    if mode.endswith("A"):
        picture.putalpha(Image.linear_gradient("L").resize((16, 16)))
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file), (STEPS >= 0.5) * 1.0 if mode == "1" else STEPS


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
@pytest.mark.parametrize("space", PROFILES)
@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
def test_a_profile_is_heeded_whatever_the_mode(mode, kind, space, gamma):
    picture, values = saved(mode, kind, icc_profile=PROFILES[space](gamma))
    opaque, alpha = tones.understand(picture)
    assert (alpha is not None) == mode.endswith("A")
    exact = opaque.mode == "I;16"
    assert exact == (mode in ("1", "L", "LA", "I;16"))
    off = np.abs(seen_lightness(opaque) - lightness(values ** (round(gamma * 256) / 256)))
    assert off.max() < (0.1 if exact else 0.5)  # half a step of 8 bits, and Little CMS's own rounding


def jp2(mode, profile):
    """A JPEG 2000 of greys, (16, 16), with a profile in place of the colour space that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray((STEPS * 255).astype(np.uint8)).convert(mode).save(file, "JPEG2000", irreversible=False)
    content = file.getvalue()
    place, old = content.index(b"colr") - 4, 15
    new = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    header = content.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", content, header)
    grown = struct.pack(">I", length + len(new) - old)
    return content[:header] + grown + content[header + 4 : place] + new + content[place + old :]


@pytest.mark.parametrize(("mode", "space"), [("L", "grey"), ("RGB", "RGB")])
def test_a_profile_is_heeded_in_jpeg_2000(mode, space):
    (page,), _, _ = reading.read(jp2(mode, PROFILES[space](1.0)))
    assert np.abs(seen_lightness(page.opaque) - lightness(STEPS)).max() < 0.5


def test_a_profile_of_inks_in_jpeg_2000_is_refused():
    profile = bytearray(rgb_profile(1.0))
    profile[16:20] = b"CMYK"
    with pytest.raises(PipelineError, match="a colour profile for CMYK on RGB pixels"):
        reading.read(jp2("RGBA", bytes(profile)))


def test_16_bits_stay_16_bits_through_a_profile():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for space, closest in (("grey", 0.003), ("RGB", 0.2)):
        picture = Image.fromarray(values)
        picture.info["icc_profile"] = PROFILES[space](1.0)
        opaque = tones.understand(picture).opaque
        assert np.abs(seen_lightness(opaque) - lightness(values / 65535)).max() < closest
        assert (np.diff(np.asarray(opaque).ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "P"])
def test_a_profile_of_srgb_changes_nothing(mode):
    picture, values = saved(mode, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    opaque = tones.understand(picture).opaque
    np.testing.assert_allclose(seen_lightness(opaque), of_srgb(values), atol=0.02)


def test_the_gamma_of_a_png_is_heeded_where_there_is_no_profile():
    rows = [bytes(row) for row in (STEPS * 255).astype(np.uint8)]
    linear = tones.understand(Image.open(png((16, 16), 8, 0, rows, gAMA=struct.pack(">I", 100000)))).opaque
    np.testing.assert_allclose(seen_lightness(linear), lightness(STEPS), atol=0.01)
    for chunks in ({"gAMA": struct.pack(">I", 45455)}, {"gAMA": struct.pack(">I", 100000), "sRGB": b"\0"}):
        assert tones.understand(Image.open(png((16, 16), 8, 0, rows, **chunks))).opaque.mode == "L"
    for gamma in (1, 2**31 - 1):
        with pytest.raises(PipelineError, match="which no picture has"):
            tones.understand(Image.open(png((16, 16), 8, 0, rows, gAMA=struct.pack(">I", gamma))))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "LAB"])
@pytest.mark.parametrize("gamma", [None, 1.8])
def test_what_is_understood_once_stays_as_it_is(mode, gamma):
    picture = Image.new(mode, (4, 4), "gray" if mode == "L" else (100, 120, 90, 20)[: len(mode)])
    if mode in ("RGB", "L"):
        picture.info |= {"gamma": 1 / gamma} if gamma else {"icc_profile": grey_profile(1.8)}
    once = tones.to_rgb(tones.understand(picture))
    again = tones.to_rgb(tones.understand(once))
    assert once.getpixel((0, 0)) == again.getpixel((0, 0))


def cut(profile):
    return profile[: len(profile) // 2]


@pytest.mark.parametrize("broken", [b"junk", b"junk" * 100, cut(grey_profile(1.0)), cut(rgb_profile(1.0))])
@pytest.mark.parametrize("mode", ["L", "I;16", "LA", "RGB", "CMYK"])
def test_a_broken_profile_is_refused(mode, broken):
    picture = Image.new(mode, (4, 4))
    picture.info["icc_profile"] = broken
    with pytest.raises(PipelineError, match=r"colour profile.*save it with the right one"):
        tones.understand(picture)


def test_one_that_cannot_be_unpacked_is_too():
    with pytest.raises(PipelineError, match="a broken colour profile"):
        tones.understand(Image.open(png((2, 1), 8, 0, [b"ab"], iCCP=b"name\0\0junk")))


@pytest.mark.parametrize(
    ("mode", "profile", "said"),
    [
        ("CMYK", rgb_profile(1.0), "a colour profile for RGB on CMYK pixels"),
        ("CMYK", grey_profile(1.0), "a colour profile for GRAY on CMYK pixels"),
        ("LAB", rgb_profile(1.0), "a colour profile for RGB on LAB pixels"),
        ("L", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "for Lab on grey pixels"),
        ("RGB", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "for Lab on RGB pixels"),
    ],
)
def test_a_profile_for_other_pixels_is_refused(mode, profile, said):
    picture = Image.new(mode, (4, 4))
    picture.info["icc_profile"] = profile
    with pytest.raises(PipelineError, match=said):
        tones.understand(picture)


def test_lab_is_what_little_cms_makes_of_it():
    colours = Image.fromarray(np.random.default_rng(0).integers(60, 200, (8, 8, 3), dtype=np.uint8))
    for profile in (None, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()):
        picture = colours.convert("LAB")
        if profile:
            picture.info["icc_profile"] = profile
        off = np.abs(np.asarray(tones.understand(picture).opaque).astype(int) - colours)
        assert off.mean() < 1  # 8 bits of Lab are coarse
        assert off.max() < 12


def adobe_rgb(rule="R03", space=0xFFFF):
    """EXIF data as a camera writes them that is set to Adobe RGB."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: space, 0xA005: {1: rule}})
    return exif.tobytes()


def test_what_a_camera_calls_adobe_rgb_is_that():
    values = np.array([[(0, 0, 0), (255, 255, 255), (128, 128, 128), (100, 150, 100), (120, 100, 140)]], np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", exif=adobe_rgb())
    # Adobe RGB (1998), 4.3.4 and 4.3.5; the matrix behind it is that of sRGB (IEC 61966-2-1).
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_linear = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    linear = np.clip((values[0] / 255) ** 2.19921875 @ np.transpose(to_xyz) @ np.transpose(to_linear), 0, 1)
    expected = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    opaque = tones.understand(Image.open(file)).opaque
    np.testing.assert_allclose(np.asarray(opaque)[0], expected, atol=1.5)
    assert np.abs(expected - values[0]).max() > 10
    assert tones.understand(opaque).opaque.getpixel((3, 0)) == opaque.getpixel((3, 0))  # once and for all


def test_what_a_file_itself_says_of_its_colours_counts_more_than_exif_data():
    rows = [bytes((100, 150, 100)) * 2] * 2
    whole = png((2, 2), 8, 2, rows, sRGB=b"\0", eXIf=adobe_rgb().removeprefix(b"Exif\0\0"))
    assert tones.understand(Image.open(whole)).opaque.getpixel((0, 0)) == (100, 150, 100)
    without = png((2, 2), 8, 2, rows, eXIf=adobe_rgb().removeprefix(b"Exif\0\0"))
    assert tones.understand(Image.open(without)).opaque.getpixel((0, 0)) != (100, 150, 100)


@pytest.mark.parametrize("exif", [adobe_rgb(rule="R98"), adobe_rgb(space=1)])
def test_what_else_exif_data_say_of_colours_changes_nothing(exif):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (100, 150, 100)).save(file, "JPEG", exif=exif, quality=100)
    opaque = tones.understand(Image.open(file)).opaque
    np.testing.assert_allclose(opaque.getpixel((0, 0)), (100, 150, 100), atol=2)


def coded_avif(transfer, **options):
    """A picture that says in AVIF that its tones are so."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (120, 120, 120)).save(file, "AVIF", **options)
    content = file.getvalue()
    place = content.index(b"colrnclx") + 10
    return content[:place] + struct.pack(">H", transfer) + content[place + 2 :]


def coded_png(transfer, **chunks):
    return png((2, 2), 8, 0, [b"xx", b"xx"], cICP=bytes((9, transfer, 0, 1)), **chunks).getvalue()


@pytest.mark.parametrize("coded", [coded_avif, coded_png])
@pytest.mark.parametrize(("transfer", "said"), [(16, "PQ"), (18, "HLG"), (8, "linear"), (13, None), (1, None)])
def test_tones_that_a_file_says_are_not_those_of_srgb_are_refused(coded, transfer, said):
    if said is None:
        assert reading.read(coded(transfer)).told == []
        return
    with pytest.raises(PipelineError, match=f"tones that are {said}"):
        reading.read(coded(transfer))


def test_a_profile_counts_more_than_what_else_a_file_says_of_its_tones():
    assert reading.read(coded_png(16, iCCP=b"x\0\0" + zlib.compress(grey_profile(2.2)))).told == []
