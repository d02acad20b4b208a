"""Pictures of any shape, as the squares that data sets are made of."""

from PIL import Image

GAP = 2  # see below; Pillow's own choice for thumbnails


def square(picture: Image.Image, side: int, smooth: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    """The middle square of a picture, scaled to side × side pixels.

    Of large ones blocks of pixels are averaged first, as long as `GAP` times the side are left: a filter looks at each
    pixel several times, which would take longer than to decode them.
    """
    edge = min(picture.size)
    left, top = ((length - edge) / 2 for length in picture.size)
    return picture.resize((side, side), smooth, (left, top, left + edge, top + edge), reducing_gap=GAP)
