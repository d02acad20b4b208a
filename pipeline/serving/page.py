"""The web page: drop a photograph, slide between grey and coloured, take the result home."""

import html
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from pipeline.colourise import SIZE, STRONGEST
from pipeline.datasets import photos
from pipeline.photographs import formats, heif
from pipeline.serving import refusals
from pipeline.serving.http import CONNECTIONS
from pipeline.serving.middleware import SCRIPT
from pipeline.serving.service import MEGABYTES, SEVERAL, SIZES, TOGETHER, Service
from pipeline.serving.uploads import Uploads
from pipeline.serving.worker import MEGAPIXELS
from pipeline.system.errors import PipelineError

PILLOW = {"MPO": "JPEG"}  # what Pillow calls otherwise
SUFFIXES = sorted(
    {suffix for suffix, kind in Image.registered_extensions().items() if PILLOW.get(kind, kind) in formats.READ}
    - {".pfm"}  # of numbers that are not read, which Pillow counts as PPM
    | {".jif", *heif.SUFFIXES, *(formats.RAW_SUFFIXES if find_spec("rawpy") else ())}
)

NAMES = {
    "unet": "U-Net: careful, paler",
    "gan": "GAN: livelier, wrong more often",
    "photograph": "Photograph: the included model",
}

WELCOME = """
# ColourGAN
Colours for black-and-white photographs. A small neural network guesses them from lightness alone:
plausible at best, pale or odd at times, and never known to be the real ones.
"""
FINE_PRINT = (
    f"Up to {MEGABYTES} MB and {MEGAPIXELS} megapixels each, {SEVERAL} photographs and {TOGETHER} MB at once. They "
    "stay on the computer that serves this page, which deletes them within the hour."
)

THEME = gr.themes.Default(
    primary_hue="teal", neutral_hue="stone", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
).set(  # what can be read by all: a contrast of 4.5 and more
    body_text_color_subdued="*neutral_500",
    link_text_color_dark="*primary_400",
    **dict.fromkeys(("button_primary_background_fill", "button_primary_background_fill_dark"), "*primary_700"),
    **dict.fromkeys(
        ("button_primary_background_fill_hover", "button_primary_background_fill_hover_dark"), "*primary_800"
    ),
)
CSS = """
.gradio-container { max-width: 820px !important; margin: 0 auto !important; }
h1 { width: fit-content; font-size: 2.4rem !important; color: transparent !important; background-clip: text;
     background-image: linear-gradient(90deg, #78716c 20%, #0f766e 55%, #d97706 80%, #dc2626); }
.refusal { border-left: 4px solid #d97706; padding: .5rem .9rem; font-size: 1rem; }
.example { flex-direction: column; max-width: 110px; padding: 6px !important; font-weight: normal !important; }
.example img { width: 100%; height: auto; margin: 0; border-radius: 4px; }
.fine-print p { font-size: .85rem; color: var(--body-text-color-subdued); }
.icon-button:has(.upload-container) { display: none !important; }  /* a button in a button, which no key can reach */
"""


def head(root: str) -> str:
    """HTML that the page is to have in its head.

    Args:
        root: the path below which it is; see `middleware.root`.
    """
    return f'<script src="{root}{SCRIPT}"></script>'


def build(service: Service) -> gr.Blocks:
    """The page.

    Args:
        service: where photographs are painted.
    """

    async def answer(
        files: list[dict[str, Any]] | None, model: str, size: int, strength: float, request: gr.Request
    ) -> list[dict[str, Any]]:
        paths = [file["path"] for file in files or []]
        try:
            _check(service, len(paths), model, size, strength)
            painted, told = await _colour(service, request, paths, model=model, size=size, strength=strength)
            results = [each["result"] for each in painted]
            result = await service.pack(request.client.host, results) if len(results) > 1 else next(iter(results), None)
        except PipelineError as error:
            return _show([], None, [refusals.sentence(error)])
        return _show(painted, result, told)

    with gr.Blocks(title="ColourGAN", analytics_enabled=False) as page:
        gr.Markdown(WELCOME)
        photographs = gr.File(label="Your photographs", file_count="multiple", file_types=SUFFIXES, height=170)
        refusal = gr.Markdown(visible=False)  # HTML would need scripts that the policy forbids
        slider = gr.ImageSlider(label="Grey | coloured", visible=False, buttons=["fullscreen"], max_height=640)
        download = gr.DownloadButton(variant="primary", visible=False)
        with gr.Row():
            model = gr.Radio(
                [(NAMES.get(name, name), name) for name in service.models],
                value=service.models[0],
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
            strength = gr.Slider(
                0,
                STRONGEST,
                1,
                step=0.1,
                label="Strength",
                info="Of the colours: 0 is grey, 1 is the network's.",
                min_width=300,
            )
        examples = list(filter(photos.find, photos.PHOTOGRAPHS))  # what colours photographs does without them
        gr.Markdown("Or try one of these:", visible=bool(examples))
        with gr.Row():
            for name in examples:
                file, thumbnail = service.painter.example(name, service.uploads.new()).values()
                example = gr.Button(name, icon=thumbnail, elem_classes="example", min_width=90, size="sm")
                give = _giving(file, service.uploads)
                example.click(give, outputs=photographs, show_progress="hidden", api_visibility="private")
        gr.Markdown(FINE_PRINT, elem_classes="fine-print")
        gr.on(
            [photographs.change, model.input, size.input, strength.input],
            answer,
            [photographs, model, size, strength],
            [slider, download, refusal],
            preprocess=False,  # Gradio would open a file, and raise where there is another choice
            concurrency_limit=None,  # those who wait take turns
            trigger_mode="always_last",
            show_progress_on=photographs,
            api_visibility="private",
        )
    page.queue(max_size=CONNECTIONS, api_open=False)
    return page


def _check(service: Service, count: int, model: str, size: int, strength: float) -> None:
    """Check what a page asks for.

    Raises:
        PipelineError: it offers no such thing.
    """
    if count > SEVERAL:
        raise PipelineError(f"{count} photographs, of which {SEVERAL} are allowed at once; take some away")
    strong = isinstance(strength, int | float) and 0 <= strength <= STRONGEST
    if model not in service.models or size not in SIZES or not strong:
        raise PipelineError("there is no such model, size or strength; choose one of those above")


async def _colour(
    service: Service, request: gr.Request, files: Sequence[str], **how: Any
) -> tuple[list[dict[str, str]], list[str]]:
    """What becomes of uploaded photographs, one after the other; and what there is to be told, a line each."""
    painted, told = [], []
    for left, file in zip(reversed(range(len(files))), files, strict=True):
        name, later = Path(file).name, False
        try:
            visitor, host = request.session_hash or "", request.client.host
            painted.append(await service.paint(host, visitor, file, service.uploads.new(host), **how))
            said = painted[-1]["told"]
        except PipelineError as error:
            said, later = str(error), refusals.status(error) in refusals.LATER
        if said:
            names = f"{name} and {left} more: " if later and left else f"{name}: " if len(files) > 1 else ""
            told.append(names + refusals.sentence(said))
        if later:
            break
    return painted, told


def _show(painted: Sequence[dict[str, str]], result: str | None, told: Sequence[str]) -> list[dict[str, Any]]:
    pictures = (painted[0]["grey"], painted[0]["coloured"]) if painted else None
    lines = "<br>".join(map(html.escape, told))
    said = f'<div class="refusal" role="alert">{lines}</div>' if told else None
    several = f"Download all {len(painted)} in full size, as a ZIP"
    return [
        gr.update(value=pictures, visible=bool(pictures)),
        gr.update(value=result, visible=bool(result), label=several if len(painted) > 1 else "Download in full size"),
        gr.update(value=said, visible=bool(said)),
    ]


def _giving(file: str, uploads: Uploads) -> Callable[[gr.Request], list[str]]:
    """What gives a visitor a copy of a file, as if it had been uploaded."""

    def give(request: gr.Request) -> list[str]:
        host = request.client.host
        try:
            with uploads.room(Path(file).stat().st_size, host):
                return [str(shutil.copy(file, uploads.new(host)))]
        except PipelineError as error:
            raise gr.Error(refusals.sentence(error), print_exception=False) from None

    return give
