"""The web page: drop a photograph, slide between grey and coloured, take the result home."""

import html
import shutil
from functools import partial
from typing import Any

import gradio as gr
from PIL import Image

from pipeline.colourise import SIZE
from pipeline.datasets import photos
from pipeline.errors import PipelineError
from pipeline.photographs import formats, heif
from pipeline.serving import refusals
from pipeline.serving.desk import MEGABYTES, SIZES, Desk
from pipeline.serving.http import CONNECTIONS
from pipeline.serving.uploads import Uploads
from pipeline.serving.worker import MEGAPIXELS

SUFFIXES = sorted(
    heif.SUFFIXES | {suffix for suffix, kind in Image.registered_extensions().items() if kind in formats.READ}
)

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


def build(desk: Desk) -> gr.Blocks:
    """The page.

    Args:
        desk: where photographs are painted.
    """

    async def answer(file: dict[str, Any] | None, model: str, size: int, request: gr.Request) -> list[dict[str, Any]]:
        if file is None:  # it was taken away again
            return _show()
        try:
            painted = await _colour(desk, request, file, model, size)
        except PipelineError as error:
            return _show(reason=refusals.sentence(error))
        told = painted["told"] and refusals.sentence(painted["told"])
        return _show((painted["grey"], painted["coloured"]), painted["result"], told or None)

    with gr.Blocks(title="ColourGAN", analytics_enabled=False) as page:
        gr.Markdown(WELCOME)
        photo = gr.File(label="Your photograph", file_types=SUFFIXES, height=170)
        refusal = gr.Markdown(visible=False)  # HTML would need scripts that the policy forbids
        slider = gr.ImageSlider(label="Grey | coloured", visible=False, buttons=["fullscreen"], max_height=640)
        download = gr.DownloadButton("Download in full size", variant="primary", visible=False)
        with gr.Row():
            model = gr.Radio(
                [(NAMES.get(name, name), name) for name in desk.models],
                value=desk.models[0],
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
                file, thumbnail = desk.painter.example(name, desk.uploads.new()).values()
                example = gr.Button(name, icon=thumbnail, elem_classes="example", min_width=90, size="sm")
                give = partial(_example, file, desk.uploads)
                example.click(give, outputs=photo, show_progress="hidden", api_visibility="private")
        gr.Markdown(FINE_PRINT, elem_classes="fine-print")
        gr.on(
            [photo.change, model.input, size.input],
            answer,
            [photo, model, size],
            [slider, download, refusal],
            preprocess=False,  # Gradio would open a file, and raise where there is another choice
            concurrency_limit=None,  # those who wait take turns
            trigger_mode="always_last",
            show_progress_on=photo,
            api_visibility="private",
        )
    page.queue(max_size=CONNECTIONS, api_open=False)
    return page


async def _colour(desk: Desk, request: gr.Request, file: dict[str, Any], model: str, size: int) -> dict[str, str]:
    """What becomes of an uploaded photograph.

    Raises:
        PipelineError: it cannot be painted, or the page does not offer such a choice.
    """
    if model not in desk.models or size not in SIZES:
        raise PipelineError("there is no such model or size; choose one of those above")
    return await desk.paint(
        request.client.host, request.session_hash, file["path"], desk.uploads.new(), model=model, size=size
    )


def _show(
    pictures: tuple[str, str] | None = None, result: str | None = None, reason: str | None = None
) -> list[dict[str, Any]]:
    said = reason and f'<div class="refusal" role="alert">{html.escape(reason)}</div>'
    return [gr.update(value=value, visible=value is not None) for value in (pictures, result, said)]


def _example(file: str, uploads: Uploads) -> str:
    """A copy of a file, as if it had been uploaded."""
    return str(shutil.copy(file, uploads.new()))
