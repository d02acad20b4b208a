"""The command `colourgan`: photographs in, coloured ones out. It needs no torch, no project, and no training."""

from importlib.metadata import version
from typing import Annotated, Any

import typer

from pipeline import cli


class Commands(cli.Commands):
    """The commands; what begins with none of their names is the photographs to colour."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `colourise` before them."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts} | self.commands.keys()
        return super().parse_args(ctx, ["colourise", *args] if args and args[0] not in own else args)


app = typer.Typer(cls=Commands, help="Give photographs colours: colourgan photo.jpg", **cli.QUIET)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"colourgan {version('colourgan')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Give photographs colours: `colourgan photo.jpg` writes photo-coloured.jpg beside it."""


HELP = "Colour photographs, at their full size. This is what is done where no command is named."
app.command(help=HELP)(cli.colourise)
app.command()(cli.serve)
