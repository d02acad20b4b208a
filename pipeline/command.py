"""The command `colourgan`: photographs in, coloured ones out. It needs no torch, no project, and no training."""

import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import cli
from pipeline.system.errors import PipelineError


class Commands(cli.Commands):
    """The commands; what begins with none of their names is the photographs to colour."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `colour` before them."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts} | self.commands.keys()
        return super().parse_args(ctx, ["colour", *args] if args and args[0] not in own else args)


app = typer.Typer(cls=Commands, help="Give photographs colours: colourgan photo.jpg", **cli.QUIET)


class Device(StrEnum):
    """Where the network computes."""

    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"colourgan {version('colourgan')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say it.")] = False,
) -> None:
    """Give photographs colours: `colourgan photo.jpg` writes photo-coloured.jpg beside it."""


@app.command()
def colour(
    photos: Annotated[
        list[Path],
        typer.Argument(
            parser=cli.named, metavar="PHOTO…", help="Pictures, and folders of pictures; - is one on standard input."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=cli.named,
            metavar="PATH",
            help="The folder to write to, or for one photograph its result; by default beside the photographs.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The path of a model, .onnx or .safetensors, or photograph, the included one; by default a U-Net "
            "that was trained in this folder, or else photograph."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=16, max=1024, help="Pixels of the shorter side of what the network sees; by default 64."),
    ] = None,
    strength: Annotated[float, typer.Option(min=0, max=2, help="Of the colours: 0 is grey, 1 is the network's.")] = 1,
    device: Annotated[Device | None, typer.Option(help="Where to compute; by default the fastest there is.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are no results, too.")] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Colour JPEGs whose end is missing, too; what there was in it is grey.")
    ] = False,
) -> None:
    """Colour photographs, at their full size. This is what is done where no command is named."""
    from pipeline.colouring import colourise_files

    how = colourise_files.How(model, size, strength, device, force=force, damaged=damaged)
    if Path("-") not in photos:
        colourise_files.run(photos, out, how)
    elif len(photos) > 1 or out:
        raise PipelineError("-: given beside others or with --out, allowed: alone, from one stream into the other")
    else:
        colourise_files.pipe(sys.stdin.buffer, sys.stdout.buffer, how)


app.command()(cli.serve)
