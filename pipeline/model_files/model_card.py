"""What one should know before using a model, as a page of Markdown (Mitchell et al. 2019, 'Model Cards')."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.datasets.sources import LICENCES, SEEN
from pipeline.measuring import report
from pipeline.system.errors import printable
from pipeline.system.files import sha256

PAGE = """\
# {name}: colours for greyscale pictures

A U-Net (fastai's `DynamicUnet`) on {architecture}, {how}; {weights:,} weights.

| | Name | Shape | Values, float32 |
| --- | --- | --- | --- |
| input | `l` | pictures, 1, height, width | L* / 50 − 1 (CIE 1976 L*a*b*, D65), in [-1, 1] |
| output | `ab` | pictures, 2, height, width | a* / 110 and b* / 110, in about [-1, 1] |

Any number of pictures, any height and width. Colours are best for pictures of about the size that it was trained on:
shrink a photograph, and enlarge the colours, as does `python -m pipeline colourise PHOTO --out DIR --model {file}`

## Training

- pictures: {data}
- encoder pretrained on: {encoder}
{settings}
- seed {seed}, torch {torch}

## Figures

{figures}

What onnxruntime computes with it differs from what torch does by {difference:.1g} in ab at most, on random pictures of
three sizes.

## Licences of what it learnt from

{licences}

## Limits

The colours are guesses. No grey photograph tells which colour a coat had, so they are no evidence of how anything
looked. The model knows pictures of the kind that it was trained on, and little of others. Trained with L1 it paints
pale where several colours are likely; trained on for lively ones, boldly, and at times wrongly.
"""
SEAL = "\n<!-- SHA-256 of the page above, by which export knows its own: "


def write(path: Path, file: str, about: Mapping[str, Any], weights: int, difference: float) -> str:
    """The page, sealed.

    Args:
        path: of the .safetensors file.
        file: the name of the ONNX file.
        about: what that file says of the model.
        weights: how many numbers it learnt.
        difference: of its ONNX file's ab from torch's, at most.
    """
    stages = {stage: about[stage] for stage in ("unet", "gan") if stage in about}
    page = PAGE.format(
        **{**about, "encoder": ": ".join(filter(None, (about["encoder"], SEEN.get(about["encoder"]))))},
        name=printable(Path(file).stem),
        file=printable(file),
        how="trained with an L1 loss" + _then(stages.get("gan")) + _times(about.get("gain", 1)),
        settings="\n".join(f"- {stage}: {_listed(values)}" for stage, values in stages.items()),
        weights=weights,
        figures=_figures(path, about.get("gain", 1)),
        difference=difference,
        licences="\n".join(
            f"- {name}: {LICENCES[name]}" for name in sorted({about["data"], about["encoder"]} & LICENCES.keys())
        ),
    )
    return seal(page)


def seal(page: str) -> str:
    """A page with a digest of it behind it, in a comment."""
    return f"{page}{SEAL}{hashlib.sha256(page.encode()).hexdigest()} -->\n"


def is_sealed(content: bytes) -> bool:
    """Whether a page is as it was sealed: nobody has changed it."""
    page = content.rpartition(SEAL.encode())[0].decode(errors="replace")
    return content == seal(page).encode()


def _then(gan: Mapping[str, Any] | None) -> str:
    """What came after the training with an L1 loss."""
    if gan is None:
        return ""
    return ", then against a PatchGAN" if gan.get("adversarial_weight", 1) else ", then for livelier colours"


def _times(gain: float) -> str:
    return "" if gain == 1 else f", its colours then multiplied by {gain:g}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _figures(path: Path, gain: float) -> str:
    """A table of what evaluate measured, if it was this very file that it measured, with its colours as they are."""
    if gain != 1:
        return "None: it was not measured with its colours multiplied."
    try:
        results = json.loads(report.FIGURES.read_text(encoding="utf-8"))
        measured_on = results["measured_on"]
        (who,) = (name for name, digest in measured_on["sha256"].items() if digest == sha256(path))
        values = results[who]
        rows = [
            f"| {metric} | {values[metric]:.4g} | {values[f'{metric}_low']:.4g} to {values[f'{metric}_high']:.4g} |"
            for metric in values
            if not metric.endswith(("_low", "_high"))
        ]
        where = f"On {measured_on['pictures']} test pictures of {measured_on['target']}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):  # whatever the file may hold
        return f"None: {report.FIGURES} is not about this model."
    said = f"{where}; docs/figures.md says what each means, and where it misleads."
    return "\n".join((said, "", "| Figure | Value | 95 % interval |", "| --- | --- | --- |", *rows))
