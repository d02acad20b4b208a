"""What a camera's sensor saw, developed by LibRaw: brought by the extra `raw`, which few need."""

from typing import BinaryIO

from PIL import Image

from pipeline.system.errors import PipelineError

SRGB = (2.4, 12.92)  # the power of its tone curve, and the slope of the line that it begins with
TURNED = (5, 6)  # LibRaw's ways to turn that swap the sides


def develop(file: BinaryIO, most: int) -> tuple[Image.Image, bool]:
    """A picture of raw data: with the camera's white balance, as bright as that hardly a pixel in a hundred is white.

    Args:
        file: of a camera; of several shots in it the first counts.
        most: pixels that are allowed.

    Returns:
        A picture of mode RGB in sRGB, or L of a camera that sees no colours, the right way up, and whether its sides
        were swapped for that.

    Raises:
        PipelineError: LibRaw is not installed, or does not know such data; they are broken, or too many.
    """
    try:
        import rawpy
    except ModuleNotFoundError:
        raise PipelineError(
            "a camera's raw data, for which rawpy is not installed; say pip install '.[raw]' in the folder of the "
            "project, or develop it to TIFF or JPEG"
        ) from None
    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            pixels = raw.sizes.raw_width * raw.sizes.raw_height
            if pixels > most:
                raise PipelineError(
                    f"{pixels / 1e6:.0f} megapixels, of which {most / 1e6:.0f} million are allowed; give a smaller copy"
                )
            turned = raw.sizes.flip in TURNED
            developed = raw.postprocess(use_camera_wb=True, gamma=SRGB)
            return Image.fromarray(developed[..., 0] if developed.shape[2] == 1 else developed), turned
    except (rawpy.LibRawError, rawpy.NotSupportedError) as error:
        said = error.args[0] if error.args else type(error).__name__
        reason = said.decode() if isinstance(said, bytes) else said
        raise PipelineError(
            f"a camera's raw data, broken or of a kind that is not read ({reason}); develop it to TIFF or JPEG"
        ) from None
