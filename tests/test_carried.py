import io
import struct
import zlib
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from pipeline.photographs import carried, reading, tags, writing, xmp
from pipeline.photographs.tags import ASCII, EXIF, GPS, INTEROPERABILITY, Tag, Tags
from pipeline.photographs.xmp import Made
from pipeline.system.errors import PipelineError
from tests.pictures import rgb_profile

MADE = Made(source="5" * 64, models=("a" * 64,), size=64, version="1")
KINDS = {"JPEG": "a.jpg", "PNG": "a.png", "WEBP": "a.webp", "TIFF": "a.tif"}
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" tiff:Orientation="6" '
    'tiff:Make="a camera" exif:PixelXDimension="40"{more}><dc:title><rdf:Alt><rdf:li xml:lang="x-default">Großmutter'
    "</rdf:li></rdf:Alt></dc:title><xmp:Thumbnails><rdf:Alt><rdf:li>grey</rdf:li></rdf:Alt></xmp:Thumbnails>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
IPTC = b"\x1c\x02\x78\x00\x0bGro\xc3\x9fmutter"


def exif(order="<", **more):
    """EXIF data with all that there is: what holds of a result, and what does not."""

    def short(*values):
        return struct.pack(f"{order}{len(values)}H", *values)

    def long(*values):
        return struct.pack(f"{order}{len(values)}I", *values)

    directory = {
        0x010E: Tag(ASCII, "Großmutter, 1932".encode() + b"\0"),
        0x010F: Tag(ASCII, b"a camera\0"),
        0x0112: Tag(3, short(6)),
        0x011A: Tag(5, long(600, 1)),
        0x011B: Tag(5, long(300, 1)),
        0x0128: Tag(3, short(2)),
        0x0131: Tag(ASCII, b"a scanner\0"),
        0x8298: Tag(ASCII, b"nobody\0"),
        0x9C9B: Tag(1, "Omi".encode("utf-16-le")),
        0xC4A5: Tag(7, b"PrintIM\0" * 3),
        EXIF: {
            0x829A: Tag(5, long(1, 250)),
            0x9003: Tag(ASCII, b"1932:05:01 00:00:00\0"),
            0x9204: Tag(10, struct.pack(order + "ii", -1, 3)),
            0x927C: Tag(7, b"a maker's note, of any bytes \0\xff\xfe"),
            0x9286: Tag(7, b"ASCII\0\0\0grandma"),
            0xA001: Tag(3, short(0xFFFF)),
            0xA002: Tag(3, short(40)),
            0xA003: Tag(3, short(30)),
            0x9214: Tag(3, short(5, 6)),
            INTEROPERABILITY: {1: Tag(ASCII, b"R03\0"), 2: Tag(7, b"0100")},
        },
        GPS: {1: Tag(ASCII, b"N\0"), 2: Tag(5, long(48, 1, 12, 1, 3037, 100)), 0: Tag(1, bytes((2, 3, 0, 0)))},
    }
    return Tags(order, directory | more.get("more", {}), [])


def source(path, kind, tags_of=None, packet=None, iptc=False, size=(40, 30), **options):
    """A photograph with metadata, as a camera or a scanner writes it."""
    picture = Image.effect_noise(size, 60)
    if kind == "TIFF":
        picture.save(path, kind, **options)
        more = {0x02BC: Tag(1, packet)} if packet else {}
        more |= {0x83BB: Tag(7, IPTC)} if iptc else {}
        own = tags_of or Tags("<", {}, [])
        tags.add(path, [own._replace(directory=own.directory | more)])
        return path
    if tags_of:
        options["exif"] = tags.encode(tags_of)
    if packet and kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode())
    elif packet:
        options["xmp"] = packet
    if iptc:
        segment = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
        segment += bytes(len(segment) % 2)
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    picture.save(path, kind, **options)
    return path


def result(path, kind, made=MADE):
    """What a result carries, and what was told."""
    photograph = reading.read(path)
    target = path.with_name("result")
    pages = [page.opaque.convert("RGB") for page in photograph.pages]
    target.touch()
    told = photograph.told + writing.save(pages, target, writing.fit(kind, photograph), photograph.carried, made)
    return target, told


def tags_of(path):
    """All tags of a file, as bytes, by Pillow's or this module's reader."""
    with path.open("rb") as file, Image.open(file) as picture:
        return tags.pages(file)[0] if picture.format == "TIFF" else tags.parse(picture.info["exif"])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", KINDS)
def test_exif_data_are_kept_byte_by_byte_but_for_what_no_longer_holds(tmp_path, kind, written, order):
    path = source(tmp_path / KINDS[kind], kind, exif(order))
    target, told = result(path, written)
    assert told == []
    found = tags_of(target)
    expected, given = exif(found.order).directory, found.directory
    assert given[0x010E] == expected[0x010E]
    assert (given[0x011A], given[0x011B]) == (expected[0x011B], expected[0x011A])  # it was turned
    for number in (0x010F, 0x0128, 0x8298, 0x9C9B, 0xC4A5):
        assert given[number] == expected[number]
    assert given[0x0131].data == b"ColourGAN 1, after a scanner\0"
    assert 0x0112 not in given
    assert given[GPS] == expected[GPS]
    for number in (0x829A, 0x9003, 0x9204, 0x927C, 0x9286):
        assert given[EXIF][number] == expected[EXIF][number]
    assert 0x9214 not in given[EXIF]  # where the subject was before
    assert [given[EXIF][number].number(found.order) for number in (0xA001, 0xA002, 0xA003)] == [1, 30, 40]
    assert given[EXIF][INTEROPERABILITY] == {1: Tag(ASCII, b"R98\0"), 2: Tag(7, b"0100")}
    with Image.open(target) as picture:
        assert picture.size == (30, 40)
        assert picture.getexif().get_ifd(EXIF)[0x829A] == 1 / 250
        assert picture.getexif().get_ifd(GPS)[2] == (48, 12, 30.37)


def test_a_thumbnail_in_grey_does_not_stay(tmp_path):
    small = io.BytesIO()
    Image.effect_noise((16, 12), 60).save(small, "JPEG")
    given = Image.Exif()
    given[0x010F] = "a camera"
    blob = bytearray(given.tobytes())
    place = len(blob) - 6
    struct.pack_into(">I", blob, 6 + 8 + 2 + 12, place)
    directory = [(513, 4, 1, place + 30), (514, 4, 1, len(small.getvalue()))]
    blob += struct.pack(">H", 2) + b"".join(struct.pack(">HHII", *tag) for tag in directory) + bytes(4)
    blob += small.getvalue()
    path = tmp_path / "a.jpg"
    Image.effect_noise((40, 30), 60).save(path, exif=bytes(blob))
    with Image.open(path) as picture:
        assert 513 in picture.getexif().get_ifd(-1)
    target, told = result(path, "JPEG")
    assert told == []
    with Image.open(target) as picture:
        assert picture.getexif().get_ifd(-1) == {}
        assert picture.getexif()[0x010F] == "a camera"
    assert small.getvalue()[-200:] not in target.read_bytes()


@pytest.mark.parametrize("written", KINDS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_is_kept_but_for_what_no_longer_holds_and_ours_is_added(tmp_path, kind, written):
    path = source(tmp_path / KINDS[kind], kind, packet=PACKET.format(more="").encode())
    target, told = result(path, written)
    assert told == []
    assert writing.made(target) == MADE
    with Image.open(target) as picture:
        packet = picture.info["xmp"].decode()
    assert "Großmutter" in packet
    assert 'tiff:Make="a camera"' in packet
    for gone in ("Orientation", "PixelXDimension", "Thumbnails"):
        assert gone not in packet
    assert packet.count("DigitalSourceType") == packet.count("colourgan:made") == 1


def test_a_result_of_a_result_says_its_own(tmp_path):
    first, _ = result(source(tmp_path / "a.jpg", "JPEG", exif(), PACKET.format(more="").encode()), "JPEG")
    first = first.rename(tmp_path / "b.jpg")
    again = Made(source="6" * 64, models=("b" * 64,), size=32, version="2", compared=True)
    second, _ = result(first, "JPEG", again)
    assert writing.made(second) == again
    assert b"".join(tags_of(second).directory[0x0131][1:]) == b"ColourGAN 2\0"
    assert second.read_bytes().count(b"DigitalSourceType") == 1


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"no XML at all",
        b"<a/>",
        "<Ünicode/>".encode("latin-1"),
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b"<a>" * 20_000 + b"</a>" * 20_000,
        b"<a>" + b" " * (1 << 20) + b"</a>",
        "<a/>".encode("utf-16"),
    ],
)
def test_a_packet_that_is_broken_or_dangerous_is_left_out_and_told(tmp_path, packet):
    target, told = result(source(tmp_path / "a.tif", "TIFF", packet=packet), "TIFF")
    assert len(told) == 1
    assert told[0].startswith("left out: XMP (")
    assert writing.made(target) == MADE
    assert xmp.made_of(packet) is None


@pytest.mark.parametrize("made", [MADE, None])
@pytest.mark.parametrize(("dpi", "written"), [((600, 600), "JPEG"), ((300, 150), "TIFF"), ((72, 72), "PNG")])
def test_resolution_is_kept(tmp_path, dpi, written, made):
    for kind in ("JPEG", "PNG", "TIFF"):
        target, told = result(source(tmp_path / KINDS[kind], kind, dpi=dpi), written, made)
        assert told == []
        with Image.open(target) as picture:
            assert picture.info["dpi"] == pytest.approx(dpi, abs=0.02)


def test_resolution_in_centimetres_and_of_bmp_is_kept(tmp_path):
    path = tmp_path / "a.tif"
    Image.new("L", (40, 30)).save(path, resolution_unit=3, x_resolution=118, y_resolution=118)
    target, _ = result(path, "TIFF")
    with Image.open(target) as picture:
        assert (picture.tag_v2[296], picture.tag_v2[282]) == (3, 118)
    Image.new("L", (40, 30)).save(tmp_path / "a.bmp", dpi=(300, 300))
    target, _ = result(tmp_path / "a.bmp", "PNG")
    with Image.open(target) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.02)


def test_pixels_that_are_no_squares_are_told(tmp_path):
    path = source(tmp_path / "a.jpg", "JPEG")
    content = bytearray(path.read_bytes())
    content[13:18] = struct.pack(">BHH", 0, 10, 11)
    path.write_bytes(content)
    assert result(path, "JPEG")[1] == ["left out: the shape of its pixels, which are no squares"]


def test_line_breaks_and_tabs_in_xmp_are_kept(tmp_path):
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        'photoshop:Instructions="one&#10;two&#9;three&#13;"/></rdf:RDF></x:xmpmeta>'
    )
    target, told = result(source(tmp_path / "a.png", "PNG", packet=packet.encode()), "PNG")
    with Image.open(target) as picture:
        root = ElementTree.fromstring(picture.text["XML:com.adobe.xmp"])
    said = [one.get("{http://ns.adobe.com/photoshop/1.0/}Instructions") for one in root.iter()]
    assert ("one\ntwo\tthree\r" in said, told) == (True, [])


def test_what_a_jpeg_has_besides_is_told(tmp_path):
    path = source(tmp_path / "a.jpg", "JPEG")
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0\0\0\x20ftypmp42" + b"moov\0\0\0\x6cmvhd")
    assert result(path, "JPEG")[1] == ["left out: the film in it (of JPEG not read)"]
    path.write_bytes(whole[:2] + b"\xff\xeb\0\x0cJP\0\1\0\0\0\1jumb"[:14] + whole[2:])
    assert result(path, "JPEG")[1] == ["left out: JUMBF, such as content credentials (of JPEG not read)"]


def test_metadata_in_texts_of_a_png_are_told_where_they_are_not_read(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type APP1", "\ngeneric\n  4\n00000000\n")
    path = source(tmp_path / "a.png", "PNG", pnginfo=info)
    assert result(path, "PNG")[1] == ["left out: the text Raw profile type APP1 (not read)"]


@pytest.mark.parametrize(("kind", "side"), [("JPEG", 65_501), ("WEBP", 16_384)])
def test_a_picture_too_long_for_its_format_becomes_a_png(tmp_path, kind, side):
    for length, written in ((side, "PNG"), (side - 1, kind)):
        path = source(tmp_path / "a.png", "PNG", size=(length, 1))
        assert writing.fit(kind, reading.read(path)) == written
        target, _ = result(path, kind)
        with Image.open(target) as picture:
            assert (picture.format, picture.size) == (written, (length, 1))


def test_comments_are_kept(tmp_path):
    path = source(tmp_path / "a.jpg", "JPEG", comment="gescannt für Oma".encode())
    content = path.read_bytes()
    more = b"\xff\xfe" + struct.pack(">H", 2 + 6) + b"second"
    place = content.index(b"\xff\xfe")
    path.write_bytes(content[:place] + more + content[place:])
    expected = "second\ngescannt für Oma"
    target, told = result(path, "JPEG")
    with Image.open(target) as picture:
        assert (picture.info["comment"].decode(), told) == (expected, [])
    target, told = result(path, "PNG")
    with Image.open(target) as picture:
        assert (picture.text["Comment"], told) == (expected, [])
    assert result(path, "TIFF")[1] == ["left out: the comment (TIFF holds none)"]
    Image.new("L", (40, 30)).save(tmp_path / "a.gif", comment=b"of a GIF")
    target, told = result(tmp_path / "a.gif", "PNG")
    with Image.open(target) as picture:
        assert (picture.text["Comment"], told) == ("of a GIF", [])


def test_texts_of_a_png_are_kept(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Grandma")
    info.add_text("Author", "Jürgen", zip=True)
    info.add_itxt("Description", "祖母", lang="ja", tkey="説明")
    for name in ("exif", "dpi", "xmp", "comment", "icc_profile", "loop", "duration", "photoshop", "aspect"):
        info.add_text(name, "a text that is called so")  # and stands where Pillow keeps the like
    target, told = result(source(tmp_path / "a.png", "PNG", pnginfo=info), "PNG")
    with Image.open(target) as picture:
        assert picture.text["Title"] == "Grandma"
        assert picture.text["Author"] == "Jürgen"
        assert (picture.text["Description"], picture.text["Description"].lang) == ("祖母", "ja")
        assert picture.text["dpi"] == picture.text["aspect"] == "a text that is called so"
    assert [line.partition(" (")[0] for line in told] == ["left out: EXIF data"]
    assert result(tmp_path / "a.png", "WEBP")[1][1:] == ["left out: the texts of a PNG (WEBP holds none)"]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize("written", ["JPEG", "TIFF"])
def test_iptc_data_are_kept(tmp_path, kind, written):
    target, told = result(source(tmp_path / KINDS[kind], kind, iptc=True), written)
    assert told == []
    with Image.open(target) as picture:
        found = picture.tag_v2[0x83BB] if written == "TIFF" else picture.info["photoshop"][0x0404]
    assert found == IPTC
    assert result(tmp_path / KINDS[kind], "PNG")[1] == ["left out: IPTC data (PNG holds none)"]


def test_what_just_fits_a_jpeg_is_kept_all_together(tmp_path):
    description = Tag(ASCII, b"x" * 65_000 + b"\0")
    packet = PACKET.format(more=f' dc:source="{"y" * 63_000}"').encode()
    path = source(tmp_path / "a.png", "PNG", Tags("<", {0x010E: description}, []), packet)
    photograph = reading.read(path)
    carries = [photograph.carried[0]._replace(comment=b"z" * 65_000, iptc=b"\x1c" * 60_001)]
    (tmp_path / "result").touch()
    assert writing.save([Image.new("RGB", (4, 4))], tmp_path / "result", "JPEG", carries, MADE) == []
    assert tags_of(tmp_path / "result").directory[0x010E] == description
    with Image.open(tmp_path / "result") as picture:
        assert picture.info["comment"] == b"z" * 65_000
        assert picture.info["photoshop"][0x0404] == b"\x1c" * 60_001
        assert b"y" * 63_000 in picture.info["xmp"]
    assert writing.made(tmp_path / "result") == MADE


def test_what_is_too_long_for_a_jpeg_is_left_out_and_told(tmp_path):
    long = exif(more={0x010E: Tag(ASCII, b"x" * 70_000 + b"\0")})
    packet = PACKET.format(more=f' dc:source="{"y" * 70_000}"').encode()
    path = source(tmp_path / "a.png", "PNG", long, packet)
    target, told = result(path, "JPEG")
    assert [line.partition(" (")[0] for line in told] == ["left out: EXIF data", "left out: XMP"]
    assert all(line.endswith(" bytes, too long for JPEG)") for line in told)
    assert writing.made(target) == MADE
    assert tags_of(target).directory[0x0131].data == b"ColourGAN 1\0"
    target, told = result(path, "PNG")
    assert told == []
    assert tags_of(target).directory[0x010E] == long.directory[0x010E]
    Image.new("L", (40, 30)).save(tmp_path / "a.gif", comment=b"z" * 70_000)
    _, told = result(tmp_path / "a.gif", "JPEG")
    assert told == ["left out: the comment (70,000 bytes, too long for JPEG)"]


@pytest.mark.parametrize(
    "broken", [b"Exif\0\0", b"Exif\0\0garbage, and more of it", b"Exif\0\0II\x2a\0\xff\xff\xff\x7f"]
)
def test_broken_exif_data_do_not_cost_the_photograph(tmp_path, broken):
    path = tmp_path / "a.jpg"
    Image.new("L", (40, 30)).save(path, exif=broken)
    target, _ = result(path, "JPEG")
    assert writing.made(target) == MADE


def test_tags_that_point_nowhere_are_counted(tmp_path):
    blob = bytearray(tags.encode(Tags("<", {0x010E: tags.text("a description"), 0x010F: tags.text("a camera")}, [])))
    struct.pack_into("<I", blob, 6 + 8 + 2 + 8, 0x7FFFFFFF)
    path = tmp_path / "a.jpg"
    Image.new("L", (40, 30)).save(path, exif=bytes(blob))
    target, told = result(path, "JPEG")
    assert told == ["left out: 1 EXIF or TIFF tags (broken)"]
    assert tags_of(target).directory[0x010F] == tags.text("a camera")


def test_many_tags_that_share_their_bytes_take_no_more_memory_than_the_file(tmp_path):
    count = 5000
    blob = b"II\x2a\0" + struct.pack("<IH", 8, count)
    blob += b"".join(struct.pack("<HHII", number, 7, 60_000, 8) for number in range(1, count + 1))
    found = tags.parse(blob + bytes(4))
    assert sum(len(tag.data) for tag in found.directory.values()) <= tags.LONGEST
    assert len(found.broken) > 4000


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_in_srgb_and_says_so(tmp_path, kind):
    for options in ({}, {"icc_profile": rgb_profile(1.8)}):
        path = tmp_path / KINDS[kind]
        Image.new("RGB", (40, 30), (120, 90, 60)).save(path, kind, **options)
        target, _ = result(path, kind)
        with Image.open(target) as picture:
            assert picture.info["icc_profile"] == writing.srgb()
    said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(writing.srgb())))
    assert "sRGB" in said


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_pillow_says_of_odd_metadata_the_photograph_is_not_lost(tmp_path, kind, monkeypatch):
    write = writing._write

    def stumble(pages, path, kind, carried):
        if b"a scanner" in carried[0].exif:
            raise struct.error("argument out of range")
        write(pages, path, kind, carried)

    monkeypatch.setattr(writing, "_write", stumble)
    target, told = result(source(tmp_path / KINDS[kind], kind, exif()), kind)
    assert told == ["left out: all metadata (argument out of range)"]
    assert writing.made(target) == MADE


def test_a_disk_that_is_full_is_no_fault_of_metadata(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        writing.save([Image.new("RGB", (4, 4))], tmp_path / "a.png", "PNG")


def test_a_carried_page_can_be_sent_to_another_process():
    import pickle

    given = carried.Carried(exif=b"1", texts=(("a", "b"),), duration=4.0)
    assert pickle.loads(pickle.dumps(given)) == given


def png_chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("place", [33, -12])  # before the pixels and behind them
@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        ((b"tEXt", b"Raw profile type exif\0\nexif\n  10\nzzzz"), "EXIF data"),
        ((b"eXIf", b"hello"), "EXIF data"),
        ((b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 3_000_000)), "the text Comment (3,000,000 characters)"),
        ((b"tEXt", b"transparency\0a text"), None),
        ((b"tEXt", b"gamma\0a text"), None),
        ((b"tEXt", b"xmp\0a text"), None),
    ],
)
def test_no_text_of_a_png_costs_the_photograph_or_its_xmp(tmp_path, place, chunk, said):
    path = source(tmp_path / "a.png", "PNG", packet=PACKET.format(more="").encode())
    content = path.read_bytes()
    path.write_bytes(content[:place] + png_chunk(*chunk) + content[place:])
    target, told = result(path, "PNG")
    assert [line.startswith(f"left out: {said}") for line in told] == [True] * bool(said)
    assert writing.made(target) == MADE
    with Image.open(target) as picture:
        assert "Großmutter".encode() in picture.info["xmp"]


def test_broken_pixels_are_no_matter_of_metadata(tmp_path):
    path = source(tmp_path / "a.png", "PNG")
    content = bytearray(path.read_bytes())
    content[-30] ^= 255
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=r"^a broken picture"):
        reading.read(path)


def test_a_packet_that_grows_too_long_is_left_out_lest_the_result_is_not_known_again(tmp_path):
    more = f' dc:source="{"y" * ((1 << 20) - len(PACKET.encode()) - 100)}"'
    target, told = result(source(tmp_path / "a.png", "PNG", packet=PACKET.format(more=more).encode()), "PNG")
    assert [line.partition(" (")[0] for line in told] == ["left out: XMP"]
    assert writing.made(target) == MADE


@pytest.mark.parametrize(
    ("kind", "place", "content", "said"),
    [
        (
            "JPEG",
            2,
            b"\xff\xe1\0\x29http://ns.adobe.com/xmp/extension/\0rest",
            "what XMP says beyond 64 kB (of JPEG not read)",
        ),
        ("GIF", -1, b"!\xff\x0bXMP DataXMP\4<x/>\0", "XMP (of GIF not read)"),
        ("JPEG2000", 85, b"", None),
        ("PPM", 2, b"\n# Grandma", "comments (of PPM not read)"),
        ("PPM", 2, b"", None),
    ],
)
def test_what_is_not_looked_at_is_told(tmp_path, kind, place, content, said):
    Image.new("L", (40, 30)).save(tmp_path / "a", kind)
    blob = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(blob[:place] + content + blob[place:])
    assert reading.read(tmp_path / "a").told == ([f"left out: {said}"] if said else [])
    if kind == "JPEG2000":
        uuid = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
        with (tmp_path / "a").open("ab") as file:
            file.write(struct.pack(">I", 28) + b"uuid" + uuid + b"<x/>")
        assert reading.read(tmp_path / "a").told == ["left out: XMP (of JPEG2000 not read)"]
