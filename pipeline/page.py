"""The web page: drop a photograph, slide between grey and coloured, take the result home."""

import html
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj, traverse
from PIL import Image, ImageOps

from pipeline import destinations
from pipeline.colourise import SIZE, Colouriser, paint_nothing
from pipeline.datasets import photos
from pipeline.errors import PipelineError
from pipeline.inference import Network
from pipeline.photographs import formats, reading, tones, writing
from pipeline.photographs.pages import Photograph
from pipeline.photographs.tones import Seen

MEGABYTES = 30  # (1024² bytes) of a file that is uploaded, at most
MEGAPIXELS = 50  # of a photograph: what the cameras of phones make, and about 1 GB while it is coloured
WAITING = 32  # photographs in the queue, at most; whoever sends another is told to come back later
SIZES = sorted({32, SIZE, 64, 128, 256})
PREVIEW = 1600  # pixels of the longer side of what the slider shows, at most
THUMBNAIL = 160

NAMES = {"unet": "U-Net: careful, paler", "gan": "GAN: livelier, wrong more often"}

WELCOME = """
# ColourGAN
Colours for black-and-white photographs. A small neural network guesses them from lightness alone:
plausible at best, pale or odd at times, and never known to be the real ones.
"""
FINE_PRINT = (
    f"Up to {MEGABYTES} MB and {MEGAPIXELS} megapixels. Photographs stay on the computer that serves this page, "
    "which deletes them within the hour."
)

THEME = gr.themes.Default(
    primary_hue="teal", neutral_hue="stone", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
).set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")
CSS = """
.gradio-container { max-width: 820px !important; margin: 0 auto !important; }
h1 { width: fit-content; font-size: 2.4rem !important; color: transparent !important; background-clip: text;
     background-image: linear-gradient(90deg, #78716c 20%, #0f766e 55%, #d97706 80%, #dc2626); }
.refusal { border-left: 4px solid #d97706; padding: .5rem .9rem; font-size: 1rem; }
.example { flex-direction: column; max-width: 110px; padding: 6px !important; font-weight: normal !important; }
.example img { width: 100%; height: auto; margin: 0; border-radius: 4px; }
.fine-print { font-size: .85rem; opacity: .75; }
"""


class Page(gr.Blocks):
    """A page which reads no file but those that were uploaded to it, whatever a client asks for."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Gradio calls it before it touches what a client sent, paths and addresses to fetch among it.

        Raises:
            gr.Error: a file was not uploaded here.
        """
        super().validate_inputs(block_fn, inputs)
        traverse(inputs, _check_uploaded, is_file_obj)


def _check_uploaded(file: Mapping[str, Any]) -> None:
    path = Path(file["path"])
    if not (path.is_relative_to(gr.utils.get_upload_folder()) and ".." not in path.parts and path.is_file()):
        raise gr.Error("This photograph is no longer here, or never was; upload it again.", print_exception=False)


def build(networks: Mapping[str, Network]) -> Page:
    """The page.

    Args:
        networks: what there is to choose from, by name; the first is chosen at first.
    """
    with Page(title="ColourGAN", analytics_enabled=False) as page:
        gr.Markdown(WELCOME)
        suffixes = sorted(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats.READ)
        photo = gr.File(label="Your photograph", file_types=suffixes, height=170)
        refusal = gr.HTML(visible=False)
        slider = gr.ImageSlider(label="Grey | coloured", visible=False, buttons=["fullscreen"], max_height=640)
        download = gr.DownloadButton("Download in full size", variant="primary", visible=False)
        with gr.Row():
            model = gr.Radio(
                [(NAMES.get(name, name), name) for name in networks],
                value=next(iter(networks)),
                label="Model",
                min_width=300,
            )
            size = gr.Radio(
                SIZES,
                value=SIZE,
                label="Working size",
                info="Pixels of the shorter side that the network sees. More: finer colours, and odder ones.",
                min_width=300,
            )
        gr.Markdown("Or try one of these:")
        with gr.Row():
            for name in photos.PHOTOGRAPHS:
                example = gr.Button(name, icon=_thumbnail(name), elem_classes="example", min_width=90, size="sm")
                example.click(partial(_example, name), outputs=photo, show_progress="hidden", api_visibility="private")
        gr.Markdown(FINE_PRINT, elem_classes="fine-print")
        gr.on(
            [photo.change, model.input, size.input],
            partial(colour, networks),
            [photo, model, size],
            [slider, download, refusal],
            concurrency_limit=1,  # memory for one photograph at a time
            trigger_mode="always_last",
            show_progress_on=photo,
            api_visibility="private",
        )
    page.queue(max_size=WAITING, api_open=False)
    return page


def colour(networks: Mapping[str, Network], file: str | None, model: str, size: int) -> list[dict[str, Any]]:
    """What the page shows of an uploaded file: slider, download and the reason why there are none.

    Args:
        networks: by name.
        file: path of what was uploaded, or None if it was taken away again.
        model: the name of a network.
        size: pixels of the shorter side of what it sees.
    """
    if file is None:
        return _show()
    try:
        photo = read(Path(file))
        coloured = Colouriser(networks[model], size).paint(photo.pages)
    except PipelineError as error:
        return _show(reason=str(error))
    grey = Colouriser(paint_nothing)(_preview(photo.pages[0]))
    return _show((grey, _preview(tones.understand(coloured[0]))), save(coloured, Path(file).name, photo))


def _show(
    pictures: tuple[Image.Image, Image.Image] | None = None, result: Path | None = None, reason: str | None = None
) -> list[dict[str, Any]]:
    said = reason and f'<div class="refusal" role="alert">{html.escape(reason[0].upper() + reason[1:])}.</div>'
    return [gr.update(value=value, visible=value is not None) for value in (pictures, result, said)]


def read(path: Path) -> Photograph:
    """An uploaded photograph.

    Raises:
        PipelineError: it has too many pixels, or is no picture of a kind that is read here, or a broken one.
    """
    try:
        return reading.read(path, most=MEGAPIXELS * 1_000_000)
    except PipelineError:
        raise
    except Image.DecompressionBombError:
        raise PipelineError(
            f"far too many pixels, of which {MEGAPIXELS} million are allowed; give a smaller copy"
        ) from None
    except Exception as error:  # a broken file makes Pillow's readers stumble over just about anything
        raise PipelineError(f"a broken picture: {reading.reason(error)}; give another copy of it") from None


def save(coloured: list[Image.Image], name: str, photo: Photograph) -> Path:
    """Write a result, at full size, to a folder of its own.

    Args:
        coloured: its pages, of mode RGB or RGBA.
        name: of the file that was uploaded; `photo.jpg` becomes `photo-coloured.jpg`.
        photo: what that holds.
    """
    given = Path(name)
    suffix = given.suffix if given.suffix.lower() in destinations.FORMATS else ".png"
    target = Path(tempfile.mkdtemp(dir=gr.utils.get_upload_folder()), f"{given.stem}-coloured{suffix}")
    planned = destinations.FORMATS[suffix.lower()]
    kind = writing.fit(planned, photo)
    if kind != planned:
        target = destinations.elsewhere(target, kind)
    writing.save(coloured, target, kind, photo.carried)
    return target


def _preview(picture: Seen) -> Image.Image:
    preview = tones.to_rgb(picture)
    preview.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
    return preview


def _example(name: str) -> str:
    """A file with a bundled photograph in grey, as if it had been uploaded."""
    target = Path(tempfile.mkdtemp(dir=gr.utils.get_upload_folder()), f"{name}.png")
    photos.load(name).convert("L").save(target)
    return str(target)


def _thumbnail(name: str) -> str:
    picture = ImageOps.fit(photos.load(name).convert("L"), (THUMBNAIL, THUMBNAIL))
    target = Path(gr.utils.get_upload_folder(), f"{name}.webp")
    picture.save(target)
    return str(target)
