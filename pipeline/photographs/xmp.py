"""XMP packets: what a photograph's own says is kept, and what made its colours is said beside it."""

from xml.dom import minidom
from xml.dom.minidom import Document, Element, Node, Text

from pydantic import BaseModel, ConfigDict, ValidationError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OURS = "urn:colourgan:result:1#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
# A real photograph, parts of which a trained network made up: of IPTC's terms the one that claims least.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
# What no longer holds of a result, by namespace; None stands for all of it.
STALE: dict[str, set[str] | None] = {
    "http://ns.adobe.com/tiff/1.0/": {
        *("Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation"),
        *("SamplesPerPixel", "PlanarConfiguration", "YCbCrSubSampling", "YCbCrPositioning", "TransferFunction"),
    },
    "http://ns.adobe.com/exif/1.0/": {"PixelXDimension", "PixelYDimension", "ColorSpace", "CompressedBitsPerPixel"},
    "http://ns.adobe.com/xap/1.0/": {"Thumbnails"},
    "http://ns.adobe.com/photoshop/1.0/": {"ICCProfile", "ColorMode"},
    "http://ns.adobe.com/xmp/note/": None,  # where the rest of a long packet is
    "http://ns.adobe.com/hdr-gain-map/1.0/": None,
    "http://ns.apple.com/HDRGainMap/1.0/": None,
    "http://ns.google.com/photos/1.0/container/": None,  # what follows the photograph in its file
    "http://ns.google.com/photos/1.0/camera/": None,  # that it moves
    OURS: None,
    IPTC: {"DigitalSourceType"},
}
LONGEST = 1 << 20  # bytes of a packet
STAND_INS = {9: "\U000f0009", 10: "\U000f000a", 13: "\U000f000d"}  # of private use, for white space
EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'
BEGIN, END = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', '<?xpacket end="w"?>'


class Made(BaseModel):
    """What a result was made of, and by what: if all of it is the same, so is the result."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: str  # SHA-256 of the photograph's file
    models: tuple[str, ...]  # digests of the models that painted it
    size: int  # pixels of the shorter side of what they saw
    version: str  # of this project
    compared: bool = False  # drawn side by side, in place of a coloured photograph
    strength: float = 1  # what chroma was multiplied by


def merge(packet: bytes | None, made: Made | None) -> bytes:
    """A packet that says what is made up, and by what, beside what it said before, if that still holds.

    Raises:
        ValueError: the packet is not one, or a dangerous one.
    """
    try:
        merged = _merge(_parse(packet or EMPTY.encode()), made)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if len(merged) > LONGEST:  # nobody would read it, us included
        raise ValueError(f"{len(merged):,} bytes")
    return merged


def _merge(document: Document, made: Made | None) -> bytes:
    rdf = document.getElementsByTagNameNS(RDF, "RDF")[0]
    for element in rdf.getElementsByTagName("*"):
        for attribute in list(element.attributes.values()):
            if _is_stale(attribute):
                element.removeAttributeNode(attribute)
        if _is_stale(element):
            element.parentNode.removeChild(element)  # type: ignore[union-attr]  # each is below rdf
    if made:
        rdf.appendChild(_description(document, made))
    return f"{BEGIN}{_serialised(document)}{END}".encode()


def _serialised(document: Document) -> str:
    """A document as XML, in which line breaks and tabs of attributes are what they were.

    Before 3.13, Python writes them as they are, and every reader takes them for spaces.
    """
    for element in document.getElementsByTagName("*"):
        for attribute in element.attributes.values():
            attribute.value = attribute.value.translate(STAND_INS)
    text = document.documentElement.toxml()  # type: ignore[union-attr]  # rdf is in it
    for space, stand_in in STAND_INS.items():
        text = text.replace(stand_in, f"&#{space};")
    return text


def _description(document: Document, made: Made) -> Element:
    description = document.createElementNS(RDF, "rdf:Description")
    for name, value in (
        ("xmlns:rdf", RDF),
        ("xmlns:colourgan", OURS),
        ("xmlns:Iptc4xmpExt", IPTC),
        ("rdf:about", ""),
        ("colourgan:made", made.model_dump_json()),
        ("Iptc4xmpExt:DigitalSourceType", SOURCE_TYPE),
    ):
        description.setAttribute(name, value)
    return description


def _is_stale(node: Node) -> bool:
    names = STALE.get(node.namespaceURI or "", set())
    return names is None or node.localName in names


def made_of(packet: bytes) -> Made | None:
    """What a packet says that its picture was made of; None if it says nothing of the kind."""
    try:
        document = _parse(packet)
        descriptions = document.getElementsByTagNameNS(RDF, "Description")
        found = [description.getAttributeNS(OURS, "made") for description in descriptions]
        for element in document.getElementsByTagNameNS(OURS, "made"):  # as which other programs may write it anew
            found.append("".join(part.data for part in element.childNodes if isinstance(part, Text)))
        return Made.model_validate_json(next(filter(None, found), ""))
    except (ValueError, ValidationError, RecursionError):
        return None


def _parse(packet: bytes) -> Document:
    """A packet as a document, in which nothing stands for anything else.

    Raises:
        ValueError: it is none, or declares entities.
    """
    if len(packet) > LONGEST:
        raise ValueError(f"{len(packet):,} bytes")
    text = packet.strip(b"\0 \r\n\t").decode("utf-8-sig")
    if "<!DOCTYPE" in text:  # without one, XML has no entities that expand or name other files
        raise ValueError("it declares a document type")
    try:
        document = minidom.parseString(text.encode())
    except Exception as error:  # ExpatError, and what deep nesting and odd encodings end in
        raise ValueError(f"not well-formed ({error})") from None
    if not document.getElementsByTagNameNS(RDF, "RDF"):
        raise ValueError("there is no RDF in it")
    return document
