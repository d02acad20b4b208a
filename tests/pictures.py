"""Files that Pillow reads but does not write, and profiles, byte by byte."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR = 0, 1, 2, 6  # photometric interpretations
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # sample formats


def tiff(pixels, bits, photometric=BLACK_IS_ZERO, order="<", **more):
    """A TIFF file of one strip: pixels (H, W) or (H, W, C) of the type that is stored, or bytes with `size`.

    more: samples, size, and tags by number, as `t339=2`.
    """
    size, samples = more.pop("size", None), more.pop("samples", 1)
    if size is None:
        size, samples = pixels.shape[:2], pixels.shape[2] if pixels.ndim == 3 else 1
        pixels = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    tags = {256: [size[1]], 257: [size[0]], 258: [bits] * samples, 259: [1], 262: [photometric], 277: [samples]}
    tags |= {278: [size[0]]} | {int(name[1:]): np.atleast_1d(value).tolist() for name, value in more.items()}
    tags |= {273: [0], 279: [len(pixels)]}
    start = 8 + len(pixels)
    content = start + 2 + 12 * len(tags) + 4
    directory, extra = struct.pack(order + "H", len(tags)), b""
    tags[273] = [8]
    for number, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        directory += struct.pack(order + "HHI", number, 4, len(values))
        directory += packed if len(packed) == 4 else struct.pack(order + "I", content + len(extra))
        extra += b"" if len(packed) == 4 else packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return io.BytesIO(head + pixels + directory + bytes(4) + extra)


def png(size, depth, colour, rows, **chunks):
    """A PNG file; rows as they are stored, without their filters."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = {"IHDR": header, **chunks, "IDAT": data, "IEND": b""}
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name.encode(), part) for name, part in parts.items()))


def curve(gamma):
    """The content of a profile's tag for a tone curve: linear light is the value to the power of gamma."""
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def rgb_profile(gamma):
    """The profile of sRGB with another tone curve."""
    return _profile(b"RGB ", {name: curve(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(gamma):
    return _profile(b"GRAY", {b"kTRC": curve(gamma)})


def _profile(space, tags):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    entries = [struct.unpack_from(">4sII", srgb, 132 + 12 * index) for index in range(srgb[131])]
    names = (b"desc", b"cprt", b"wtpt", *((b"rXYZ", b"gXYZ", b"bXYZ", b"chad") if space == b"RGB " else ()))
    tags = {name: srgb[at : at + length] for name, at, length in entries if name in names} | tags
    content, table = b"", struct.pack(">I", len(tags))
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    whole = srgb[4:16] + space + srgb[20:128] + table + content
    return struct.pack(">I", len(whole) + 4) + whole


def lightness(light):
    """CIE L* of linear light in [0, 1]."""
    light = np.asarray(light, np.float64)
    return np.where(light > 216 / 24389, 116 * np.cbrt(light) - 16, light * 24389 / 27)


def of_srgb(values):
    """CIE L* of greys of sRGB in [0, 1]."""
    values = np.asarray(values, np.float64)
    return lightness(np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92))


def seen_lightness(opaque: Image.Image):
    """CIE L* of a picture of mode L, I;16 or RGB whose colours are greys, (H, W)."""
    values = np.asarray(opaque)
    if values.ndim == 3:
        assert np.ptp(values.astype(int), axis=2).max() <= 1
        values = values[..., 1]
    return of_srgb(values / np.iinfo(values.dtype).max)
