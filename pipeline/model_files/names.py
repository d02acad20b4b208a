"""Models by their names: those that are trained in this folder, and the included one."""

from pathlib import Path

from pipeline.model_files.inference import INCLUDED
from pipeline.system.errors import PipelineError

TRAINED = {name: Path(f"models/{name}.safetensors") for name in ("unet", "gan")}


def models() -> dict[str, Path]:
    """The models that have names and are there, those that were trained here first."""
    return {name: path for name, path in (TRAINED | INCLUDED).items() if path.is_file()}


def find_model(name: str | None) -> Path:
    """The file of a model.

    Args:
        name: unet or gan, which training wrote, photograph, the included one, or a path; by default the first of
            `models`.

    Raises:
        PipelineError: there is none.
    """
    if name is None:
        name = next(iter(models()), "unet")
    path = (TRAINED | INCLUDED).get(name, Path(name))
    if path.is_file():
        return path
    what = "given a folder" if path.is_dir() else f"there is no {path}"
    allowed = f"give {', '.join(TRAINED | INCLUDED)} or the path of a model"
    raise PipelineError(f"--model {name}: {what}; {'run `dvc repro` to train it' if name in TRAINED else allowed}")


def called(path: Path) -> str:
    """A model as people know it."""
    names = {file: name for name, file in INCLUDED.items()}
    return f"{names[path]}, the included model" if path in names else str(path)
