import io
import os
import random
import socket
import struct
from pathlib import Path

import pytest
from PIL import Image

from pipeline.photographs import formats, heif, reading
from pipeline.system.errors import PipelineError
from tests.hostile import change_bytes

BOX = b"\0\0\0\x18ftyp"


def encoded(kind, mode="RGB", **options):
    heif.register()
    file = io.BytesIO()
    Image.new(mode, (20, 10), 90).save(file, kind, **options)
    return file.getvalue()


def tiff(*directories, magic=b"II\x2a\0"):
    """A TIFF file of nothing but directories: (tag, value) pairs, one after the other."""
    content, place = magic + struct.pack("<I", 8), 8
    for number, directory in enumerate(directories):
        following = place + 2 + 12 * len(directory) + 4
        content += struct.pack("<H", len(directory))
        content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(directory))
        content += struct.pack("<I", following if number + 1 < len(directories) else 0)
        place = following
    return content


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
@pytest.mark.parametrize("name", ["photo", "photo.txt", "photo.pdf", "photo.heic"])
def test_what_is_read_is_known_by_its_content_whatever_its_name(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(encoded(kind))
    assert reading.find(tmp_path).files == [path]
    (page,) = reading.read(path).pages
    assert page.opaque.size == (20, 10)


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_all_of_netpbm_is_read(tmp_path, mode):
    (tmp_path / "a").write_bytes(encoded("PPM", mode))
    assert reading.read(tmp_path / "a").pages[0].opaque.size == (20, 10)
    (tmp_path / "b").write_bytes(b"P2\n# a comment\n2 1\n255\n0 255\n")
    assert reading.read(tmp_path / "b").pages[0].opaque.size == (2, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("JPEG XL", b"\xff\x0a\xfa\x1f"),
        ("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n"),
        ("JPEG XR", b"II\xbc\x01\x20\0\0\0"),
        ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("SVG", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn > by hand -->\n<!DOCTYPE svg PUBLIC "a" "b">\n<svg>'),
        ("SVG", b'<?xml version="1.0"?><svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>'),
        ("PDF", b"%PDF-1.7\n"),
        ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
        ("PostScript", b"\xc5\xd0\xd3\xc6\x20\0\0\0"),
        ("PSD of Photoshop", b"8BPS\0\1"),
        ("PSD of Photoshop", b"8BPS\0\2"),
        ("XCF of GIMP", b"gimp xcf v011\0"),
        ("DjVu", b"AT&TFORM\0\0\0\x10DJVU"),
        ("DICOM", bytes(128) + b"DICM"),
        ("FITS", b"SIMPLE  =                    T"),
        ("OpenEXR", b"\x76\x2f\x31\x01\2\0\0\0"),
        ("Radiance HDR", b"#?RADIANCE\n"),
        ("PAM or PFM", b"P7\nWIDTH 2\n"),
        ("PAM or PFM", b"Pf\n2 1\n-1.0\n"),
        ("QOI", b"qoif\0\0\0\2"),
    ],
)
def test_what_is_not_read_is_named_with_the_way_out(tmp_path, name, content):
    for called in ("photo.jpg", "photo.png", "photo", "photo.dat"):
        path = tmp_path / called
        path.write_bytes(content)
        with pytest.raises(PipelineError, match=f"^{name}, which is not read here; (save|export) it "):
            reading.read(path)
        assert path in reading.find(tmp_path).files


@pytest.mark.parametrize(
    "content",
    [
        BOX + b"crx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201",
        b"II\x2a\0\x10\0\0\0CR\2\0",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
        tiff([(0xC612, 0x0401), (262, 2)]),
        tiff([(262, 32803)]),
        tiff([(254, 1), (262, 2)], [(262, 34892)]),
        tiff([(254, 1), (262, 2), (330, 8 + 2 + 36 + 4)]) + tiff([(262, 32803)])[8:],
    ],
)
def test_raw_data_are_known_by_their_content(tmp_path, content):
    for called in ("photo.jpg", "photo"):
        (tmp_path / called).write_bytes(content)
        with pytest.raises(PipelineError, match=f"^{formats.RAW}, broken or of a kind that is not read"):
            reading.read(tmp_path / called)
        assert tmp_path / called in reading.find(tmp_path).files


def test_raw_data_that_begin_as_a_tiff_does_are_known_by_their_suffix(tmp_path):
    for name in ("a.NEF", "a.arw", "a.dng", "a.Cr2", "a.pef"):
        (tmp_path / name).write_bytes(encoded("TIFF"))
        with pytest.raises(PipelineError, match="raw data, broken or of a kind that is not read"):
            reading.read(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["notes.txt", "sound.mp3", "film.mpg", "film.mp4", "a.zip", "a.jpg.xmp", "a.aae", "BMW"]
)
def test_other_files_are_passed_over_and_counted(tmp_path, capsys, name):
    content = {
        ".mp3": b"\xff\xfb\x90\x64" + bytes(400),
        ".mpg": b"\0\0\1\xba" + bytes(400),
        ".mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        ".zip": b"PK\3\4" + bytes(400),
        ".xmp": b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
        ".aae": b'<?xml version="1.0"?><!DOCTYPE plist><plist/>',
    }
    path = tmp_path / name
    path.write_bytes(content.get(path.suffix, b"BMW, and P5 of the list"))
    assert reading.find(tmp_path).files == []
    assert capsys.readouterr().err.endswith(f"files of other kinds passed over: 1 {path.suffix or name}\n")


@pytest.mark.parametrize("name", ["a.jpg", "a.PNG", "a.tif", "a.heic", "a.nef", "a.svgz", "a.tga", "a.jxl", "a.webp"])
@pytest.mark.parametrize("content", [b"", b"I am a photograph"])
def test_what_claims_to_be_a_picture_fails_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert reading.find(tmp_path).files == [tmp_path / name]
    with pytest.raises(PipelineError, match="not a picture that" if content else "an empty file"):
        reading.read(tmp_path / name)


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    match kind:
        case "pipe":
            os.mkfifo("a.jpg")
        case "folder":
            Path("a.jpg").mkdir()
        case "socket":
            socket.socket(socket.AF_UNIX).bind("a.jpg")
    with pytest.raises((PipelineError, OSError)):
        reading.read(tmp_path / "a.jpg")
    assert reading.find(tmp_path).files == []


def test_a_device_is_no_picture():
    with pytest.raises(PipelineError, match="not an ordinary file"):
        reading.read(Path("/dev/zero"))


def test_many_comments_hold_nobody_up(tmp_path):
    (tmp_path / "a.svg").write_bytes(b"<!---->" * 200)
    with pytest.raises(PipelineError):
        reading.read(tmp_path / "a.svg")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tiff([(256, 4), (257, 4), (258, 64), (262, 1), (339, 3), (273, 8), (279, 8), (277, 1)]), "TIFF of 64 bits"),
        (b"\xff\xd8\xff\xc9\0\x0b\x0c\0\4\0\4\1\1\x11\0", "JPEG"),  # of 12 bits, arithmetically coded
        (encoded("GIF")[:9], "GIF"),
        (BOX + b"msf1\0\0\0\0msf1hevc", "HEIF"),  # a film
    ],
)
def test_what_pillow_does_not_open_is_called_what_it_is(tmp_path, content, said):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(PipelineError, match=f"^{said}, broken or of a kind that is not read; save it as"):
        reading.read(tmp_path / "a")


def test_a_directory_within_a_tiff_that_is_none_costs_nothing(tmp_path):
    content = tiff(
        [(256, 16), (257, 8), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, 8), (279, 128), (330, 200)]
    )
    path = tmp_path / "scan.tif.bak"
    path.write_bytes(content.ljust(200, b"\0") + b"\xff" * 128)  # 330 points to white pixels
    assert reading.find(tmp_path).files == [path]
    assert reading.read(path).pages[0].opaque.size == (16, 8)


def test_a_directory_beyond_all_files_costs_nothing(tmp_path):
    tags_of_it = {256: 16, 257: 8, 258: 8, 259: 1, 262: 1, 273: 256, 277: 1, 278: 8, 279: 128, 330: 1 << 62}
    entries = b"".join(struct.pack("<HHQQ", tag, 16, 1, value) for tag, value in tags_of_it.items())
    content = b"II\x2b\0\x08\0\0\0" + struct.pack("<QQ", 16, len(tags_of_it)) + entries + bytes(8)
    path = tmp_path / "scan.tif.bak"
    path.write_bytes(content.ljust(256, b"\0") + b"\xff" * 128)
    assert reading.find(tmp_path).files == [path]
    assert reading.read(path).pages[0].opaque.size == (16, 8)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
def test_damaged_files_fail_and_nothing_worse(tmp_path, kind, seed):
    whole = encoded(kind)
    with reading.large_ones():
        change_bytes(whole, seed, first=4)
        for length in random.Random(seed).sample(range(8, len(whole)), 4):
            (tmp_path / "a").write_bytes(whole[:length])
            assert reading.find(tmp_path).files in ([], [tmp_path / "a"])
            change_bytes(whole[:length], seed, first=4)
