"""Studies that nobody ran: experiments with made-up figures."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pipeline import params
from pipeline.params import Params
from pipeline.study import plan, records
from pipeline.study.experiments import Experiment
from pipeline.study.plan import Run
from pipeline.study.records import Record

CODE = {"evaluate:pipeline/evaluate.py": "0"}
HALF = 0.004  # of each interval, over the pictures


def study(parts: dict[str, Any], seeds=(0, 1, 2), **changes: Any) -> Params:
    """params.yaml with other parts."""
    content = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")) | changes
    content["study"] = {"seeds": list(seeds), "parts": parts}
    return params.check(params.read(yaml.safe_dump(content, sort_keys=False).encode(), "params.yaml"), "params.yaml")


def part(cases=("1", "none"), images=(500, 8000), **settings: dict[str, Any]) -> dict[str, Any]:
    return {"cases": list(cases), "images": list(images), "settings": settings or {"plain": {}}}


def interval(metric: str, value: float, half: float = HALF) -> dict[str, float]:
    return {metric: value, f"{metric}_low": value - half, f"{metric}_high": value + half}


def figures(skill: float, gan: bool = True, **more: dict[str, float]) -> dict[str, Any]:
    """What evaluate would write of a U-Net with this skill, and a GAN that is livelier, with less of it."""
    unet = interval("skill", skill) | interval("colourfulness", 13, 0.2) | interval("judge_fd", 0.06, 0.004)
    found: dict[str, Any] = {"real": {}, "grey": {}, "unet": unet, "measured_on": {"pictures": 100, "sha256": {}}}
    if gan:
        found |= {
            "unet_gain": interval("skill", -0.02) | interval("colourfulness", 30, 0.2) | interval("judge_fd", 0.2),
            "gan": interval("skill", skill - 0.1) | interval("colourfulness", 28, 0.2) | interval("judge_fd", 0.059),
            "gan_minus_unet": interval("skill", -0.1) | interval("colourfulness", 15) | interval("judge_fd", -0.001),
            "gan_minus_unet_gain": interval("skill", skill - 0.08) | interval("judge_fd", -0.14),
        }
    return found | more


def experiment(run: Run, found: dict[str, Any], outputs: dict[str, str] | None = None, **changes: Any) -> Experiment:
    """The experiment that a run would have become; outputs: path → MD5."""
    commit = hashlib.sha1(f"{run.key}{changes}".encode()).hexdigest()
    outs = [{"path": path, "md5": digest} for path, digest in (outputs or {}).items()]
    stages = {"evaluate": {"deps": [{"path": "pipeline/evaluate.py", "md5": "0"}], "outs": outs}}
    whole = {"baseline": "b" * 40, "when": "2026-01-02T03:04:05+00:00", "stages": stages, "figures": found}
    return Experiment(**{"name": run.name, "commit": commit, "params": run.params, **whole, **changes})


def gathered(base: Params, skill: Callable[[Run], float | None], gan: bool = True) -> list[Record]:
    """The records of a study with these skills; a run that has none is missing."""
    planned = plan.runs(base)
    made = [experiment(run, figures(value, gan)) for run in planned if (value := skill(run)) is not None]
    return records.gather(planned, made, CODE, {})
