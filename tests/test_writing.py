import numpy as np
import pytest
from PIL import Image

from pipeline.photographs import writing, xmp
from pipeline.photographs.writing import Made

BROWN = (120, 90, 60)
MADE = Made(source="5" * 64, models=("a" * 64, "b" * 64), size=64, version="0.1.0")
KINDS = {"JPEG": "a.jpg", "PNG": "a.png", "WEBP": "a.webp", "TIFF": "a.tif"}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def picture(mode="RGB", size=(40, 30)):
    return Image.new(mode, size, BROWN + (255,) * (len(mode) - 3))


def test_a_result_says_what_it_was_made_of_and_that_its_colours_are_made_up(tmp_path, kind):
    path = tmp_path / KINDS[kind]
    path.touch()
    assert writing.save([picture()], path, kind, made=MADE) == []
    assert writing.made(path) == MADE
    with Image.open(path) as result:
        assert (result.format, result.mode, result.size) == (kind, "RGB", (40, 30))
        assert result.getexif()[0x0131] == "ColourGAN 0.1.0"
        assert b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in result.info["xmp"]
        assert np.abs(np.asarray(result).astype(int) - BROWN).max() < 4


def test_a_result_is_known_if_another_program_writes_its_properties_as_elements():
    packet = f'''<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{xmp.RDF}">
    <rdf:Description rdf:about="" xmlns:colourgan="{xmp.OURS}">
    <colourgan:made> <!-- --><![CDATA[{MADE.model_dump_json()}]]></colourgan:made>
    </rdf:Description></rdf:RDF></x:xmpmeta>'''
    assert xmp.made_of(packet.encode()) == MADE


def test_what_is_not_ours_was_made_of_nothing_we_know(tmp_path, kind):
    path = tmp_path / KINDS[kind]
    picture().save(path, **({"xmp": xmp.EMPTY.encode()} if kind in ("JPEG", "WEBP") else {}))
    assert writing.made(path) is None
    writing.save([picture()], path, kind, made=MADE)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 3], b"I am a photograph"):
        path.write_bytes(content)
        assert writing.made(path) is None
    assert writing.made(tmp_path / "gone") is None
    assert writing.made(tmp_path) is None
