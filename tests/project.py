"""A copy of the project in which the whole study takes a minute or two."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import yaml

from tests import warm

SOURCES = [
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    "data/folder/README.md",
    "dvc.yaml",
    "params.yaml",
    "pipeline",
]
ALL = {
    *("download@target", "download@encoder", "pretrain@encoder", "pretrain@features", "pretrain@judge"),
    *("unlabelled", "train_unet", "train_gan", "evaluate"),
}
OUTPUTS = {
    *("data/inventory.json", "data/target", "data/encoder", "data/unlabelled"),
    *(f"models/{name}.safetensors" for name in ("encoder", "features", "judge", "unet", "gan")),
    *(f"metrics/{name}.json" for name in ("encoder", "features", "judge", "evaluate")),
    *(f"plots/{name}.csv" for name in ("encoder", "features", "judge", "unet", "gan")),
    *(f"plots/{name}_seconds.csv" for name in ("encoder", "features", "judge", "unet", "gan")),
    *("plots/before_after.gif", "plots/curves.png", "plots/grid.png", "plots/pictures.npz", "plots/test_l1.png"),
}


def small() -> dict[str, Any]:
    """params.yaml with little to do, on the photographs that installed packages carry; there is no user's folder."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params |= {"case": "photos", "images": 120}
    for section in params["pretrain"].values():
        section |= {"epochs": 2, "batch_size": 96}
    for section in (params["unet"], params["gan"]):
        section |= {"epochs": 2, "batch_size": 12}
    params["datasets"]["folder"] = {"path": "mine", "size": 16}
    params["evaluate"] |= {"resamples": 100, "grid": 3}
    return params


class Project:
    """A copy of the project with a git history of its own."""

    def __init__(self, folder: Path, params: dict[str, Any]):
        self.folder, self.python = folder, sys.executable
        for source in SOURCES:
            place = folder / source
            place.parent.mkdir(parents=True, exist_ok=True)
            ignore = shutil.ignore_patterns("*.pyc.*")  # which other processes are writing
            shutil.copytree(source, place, ignore=ignore) if Path(source).is_dir() else shutil.copy(source, place)
        binaries = Path(sys.executable).parent
        person = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        cleared = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
        self.environment = cleared | person | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        for command in ("git init -q -b main", "git add -A", "git commit -q -m Start"):
            self.run(*command.split())

    def warm(self) -> Self:
        """Have its commands begin at once, where they can, see `warm`."""
        if folder := warm.folder():
            self.python = str(folder / "python")
            self.environment["PATH"] = f"{folder}{os.pathsep}{self.environment['PATH']}"
        return self

    def run(self, *command: str, succeeds: bool = True) -> str:
        """What a command prints."""
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert (result.returncode == 0) == succeeds, result.stdout[-5000:]
        return result.stdout

    def stages_run(self, *command: str) -> set[str]:
        """Which stages a DVC command ran, but for the inventory, which it takes each time."""
        return set(re.findall(r"Running stage '([^']+)'", self.run("dvc", *command))) - {"inventory"}

    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics/evaluate.json").read_text())
