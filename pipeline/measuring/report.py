"""What came out, in words; `python -m pipeline report` says it again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pipeline.measuring.results import LARGEST_GAIN
from pipeline.system.errors import PipelineError, printable

DIFFERENCES = "gan_minus_unet", "gan_minus_unet_gain"
NEARNESS = "further from", "closer to", "neither clearly closer to nor further from"
LIKENESS = "less like", "more like", "neither clearly more nor less like"

FIGURES = Path("metrics/evaluate.json")
DRAWINGS = [Path(f"plots/{name}") for name in ("grid.png", "before_after.gif", "test_l1.png", "curves.png")]


def run() -> None:
    """Print what was measured last, and which drawings there are of it.

    Raises:
        PipelineError: nothing was measured yet, or not by this version.
    """
    print(_read_in_words())
    if drawn := [str(path) for path in DRAWINGS if path.exists()]:
        print(f"Pictures: {', '.join(drawn)}")


def _read_in_words() -> str:
    try:
        figures = json.loads(FIGURES.read_text(encoding="utf-8"), parse_constant=_refuse)
        return "\n".join(map(printable, in_words(figures, figures["measured_on"]).split("\n")))
    except FileNotFoundError:
        raise PipelineError(f"{FIGURES}: nothing was measured yet; run `dvc repro`") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        way_out = "run `dvc repro evaluate`, or `git checkout` the file"
        raise PipelineError(f"{FIGURES}: not what this version measures ({reason}); {way_out}") from None


def _refuse(constant: str) -> NoReturn:
    """JSON as Python reads it may hold NaN and Infinity, which evaluate never writes."""
    raise ValueError(f"{constant} is no number")


def in_words(results: Mapping[str, Any], measured_on: Mapping[str, Any]) -> str:
    """The outcome for a reader who has not seen the numbers; a difference is claimed only if its interval shows it."""
    if "gan" not in results:
        return _of_the_unet(results, measured_on)
    unet, gain, gan, grey, real = (results[who] for who in ("unet", "unet_gain", "gan", "grey", "real"))
    difference = results["gan_minus_unet"]
    lively = _verdict(difference, "colourfulness", "livelier than", "paler than", "not clearly livelier or paler than")
    close, close_to_gain = (_verdict(results[over], "l1", *NEARNESS) for over in DIFFERENCES)
    alike, alike_to_gain = (_verdict(results[over], "judge_fd", *LIKENESS) for over in DIFFERENCES)
    of_real = measured_on["gains"]["real"]
    accuracy = {
        who: f"{results[who]['judge_accuracy']:.1%}".replace("%", " %") for who in ("real", "grey", "unet", "gan")
    }
    gained = _as_lively(measured_on["gain"], "the GAN's")
    text = (
        f"On {measured_on['pictures']} test pictures of {measured_on['target']} (encoder: {measured_on['encoder']}): "
        f"the U-Net's skill is {_interval(unet, 'skill')}, the GAN's {_interval(gan, 'skill')}; "
        "0 is grey, 1 is perfect, in brackets are 95 % intervals.\n"
        f"The GAN's colours are {close} the real ones than the U-Net's: "
        f"L1 {gan['l1']:.4f} against {unet['l1']:.4f}, and {grey['l1']:.4f} of grey.\n"
        f"The GAN's pictures are {lively} the U-Net's: colourfulness {gan['colourfulness']:.1f} against "
        f"{unet['colourfulness']:.1f}, and {real['colourfulness']:.1f} of the real ones "
        f"(ΔCF {gan['delta_colourfulness']:+.1f} against {unet['delta_colourfulness']:+.1f}).\n"
        f"To the judge the GAN's pictures are {alike} the real ones than the U-Net's: "
        f"Fréchet distance {gan['judge_fd']:.3g} against {unet['judge_fd']:.3g}, and {grey['judge_fd']:.3g} of grey; "
        f"it classifies rightly {accuracy['gan']} of them, {accuracy['unet']} of the U-Net's, "
        f"{accuracy['grey']} of the grey and {accuracy['real']} of the real ones.\n"
        f"The plainest way to lively colours is a gain. {gained}: "
        f"skill {_interval(gain, 'skill')}, colourfulness {gain['colourfulness']:.1f}, "
        f"Fréchet distance {gain['judge_fd']:.3g}. The GAN's colours are {close_to_gain} the real ones than that, "
        f"and its pictures {alike_to_gain} them. {_as_lively(of_real['factor'])}: "
        f"skill {of_real['skill']:.3f} on the validation pictures."
    )
    return text.replace(" -", " −").replace("(-", "(−")


def _of_the_unet(results: Mapping[str, Any], measured_on: Mapping[str, Any]) -> str:
    """The outcome of a run without a GAN."""
    unet, gain, real = (results[who] for who in ("unet", "unet_gain", "real"))
    text = (
        f"On {measured_on['pictures']} test pictures of {measured_on['target']} (encoder: {measured_on['encoder']}): "
        f"the U-Net's skill is {_interval(unet, 'skill')}; 0 is grey, 1 is perfect, in brackets are 95 % intervals.\n"
        f"Its colourfulness is {unet['colourfulness']:.1f}, and {real['colourfulness']:.1f} that of the real ones. "
        f"{_as_lively(measured_on['gain'])}: skill {_interval(gain, 'skill')}.\n"
        "No GAN was trained."
    )
    return text.replace(" -", " −").replace("(-", "(−")


def _as_lively(factor: float, others: str = "the real ones") -> str:
    if factor >= LARGEST_GAIN:
        return f"Even × {factor:.2f} the U-Net's colours are paler than {others}"
    return f"As lively as {others} are the U-Net's colours × {factor:.2f}"


def _verdict(difference: Mapping[str, float], metric: str, more: str, less: str, unclear: str) -> str:
    if difference[f"{metric}_low"] > 0:
        return more
    return less if difference[f"{metric}_high"] < 0 else unclear


def _interval(values: Mapping[str, float], metric: str) -> str:
    return f"{values[metric]:.3f} ({values[f'{metric}_low']:.3f} to {values[f'{metric}_high']:.3f})"
