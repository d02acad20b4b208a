"""The commands. Nothing heavy is imported before a command needs it, so that `--help` answers at once."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from pipeline import params
from pipeline.system import environment, lock
from pipeline.system.errors import PipelineError, Stopped, Unread, ran_out_of_memory

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}  # where room, or a right, is lacking


class Commands(TyperGroup):
    """The commands as one; Ctrl-C, and output that nobody reads any more, end each in the same way."""

    def invoke(self, ctx: Any) -> None:
        """Run the command that was asked for."""
        try:
            super().invoke(ctx)
        except KeyboardInterrupt:
            raise Stopped(f"{ctx.invoked_subcommand or ctx.info_name}: stopped; run the same command again") from None
        except BrokenPipeError:
            raise Unread(
                f"{ctx.invoked_subcommand or ctx.info_name}: nobody reads what it says; run the same command again"
            ) from None


QUIET: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}

app = typer.Typer(
    cls=Commands,
    help="ColourGAN: what does a pretrained encoder bring to image colourisation, and what does a GAN? "
    "Each command is a stage of the pipeline; `dvc repro` runs all that are out of date.",
    **QUIET,
)


@contextmanager
def _stage(name: str, shared: bool = False) -> Iterator[params.Params]:
    """The checked parameters, for the one run of a stage in this folder; several processes may share it."""
    checked = params.load()
    another = shared and environment.place and environment.place.rank > 0
    try:
        with nullcontext() if another else lock.alone(name):
            yield checked
    except BrokenPipeError:
        raise Unread(f"{name}: nobody reads what it says; run the same command again to go on") from None
    except Exception as error:
        if ran_out_of_memory(error):
            raise _no_memory(name) from None
        if not isinstance(error, OSError):
            raise
        place = error.filename2 or error.filename
        where = f"{place}: " if place else ""
        reason = error.strerror or error
        way_out = "make room, or allow writing there" if error.errno in UNWRITABLE else "see to it"
        raise PipelineError(f"{name}: {where}{reason}; {way_out}, and run the same command again") from None


def _no_memory(command: str) -> PipelineError:
    """That a command had not enough memory, and what helps."""
    way_out = "end other programs"
    if command.startswith(("train-", "pretrain-", "evaluate")):
        section = command.removeprefix("train-").replace("-", ".")
        way_out = f"lower {section}.batch_size in params.yaml, or {way_out}"
    return PipelineError(f"{command}: out of memory; {way_out}, and run the same command again")


@app.command()
def inventory() -> None:
    """Note what lies in the folder of pictures, if the case reads it, in data/inventory.json."""
    with _stage("inventory") as checked:
        from pipeline import inventory

        inventory.run(checked)


def named(given: str) -> Path:
    """A path; of an empty one, as of a variable that is not set, Path would make the current folder."""
    if not given:
        raise PipelineError("given an empty path; name a file or folder, the current folder by a dot")
    path = Path(given)
    return path.absolute() if given != "-" and str(path) == "-" else path  # ./- is a file, - is a stream


@app.command()
def download(role: Literal["target", "encoder"]) -> None:
    """Fetch the data set that the case gives a role, into data/ROLE."""
    with _stage(f"download-{role}") as checked:
        from pipeline import download

        download.run(role, checked)


@app.command()
def unlabelled() -> None:
    """Fetch pictures without labels, if the colouriser wants more than have labels, into data/unlabelled."""
    with _stage("unlabelled") as checked:
        from pipeline import unlabelled

        unlabelled.run(checked)


@app.command()
def pretrain(network: Literal["encoder", "features", "judge"]) -> None:
    """Train a classifier: the encoder, of greyscale pictures, or the features or the judge, of colour pictures."""
    with _stage(f"pretrain-{network}", shared=True) as checked:
        from pipeline.training import launch

        launch.run("pipeline.pretrain", network, checked)


@app.command()
def train_unet() -> None:
    """Train the U-Net, on the pretrained encoder, with an L1 loss."""
    with _stage("train-unet", shared=True) as checked:
        from pipeline.training import launch

        launch.run("pipeline.train_unet", checked)


@app.command()
def train_gan() -> None:
    """Train the U-Net on, against a PatchGAN."""
    with _stage("train-gan", shared=True) as checked:
        from pipeline.training import launch

        launch.run("pipeline.train_gan", checked)


@app.command()
def evaluate() -> None:
    """Measure grey, U-Net and GAN on the test pictures, and draw them."""
    with _stage("evaluate", shared=True) as checked:
        from pipeline.training import launch

        launch.run("pipeline.evaluate", checked)


@app.command()
def report() -> None:
    """Say in words what evaluate measured last."""
    from pipeline.measuring import report

    report.run()


@app.command()
def colourise(
    photos: Annotated[
        list[Path],
        typer.Argument(
            parser=named, metavar="PHOTO…", help="Pictures, and folders of pictures; - is one on standard input."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=named,
            metavar="PATH",
            help="The folder to write to, or for one photograph its result; by default beside the photographs.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="unet or gan (trained by dvc repro), photograph (included), or the path of a model, .onnx or "
            ".safetensors; by default the first that is there."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=16, max=1024, help="Shorter side, in pixels, of what the network sees; by default 64."),
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0, max=2, help="How strong colours are: 0 is grey, 1 is the network's.")
    ] = 1,
    device: Annotated[
        Literal["cpu", "cuda", "mps"] | None, typer.Option(help="Where to compute; by default the fastest there is.")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Draw grey | U-Net | GAN | original instead.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files other than results, too.")] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Colour JPEGs whose end is missing, too; what there was in it is grey.")
    ] = False,
) -> None:
    """Colour photographs, at their full size."""
    from pipeline.colouring import colourise_files

    how = colourise_files.How(model, size, strength, device, compared=compare, force=force, damaged=damaged)
    if Path("-") in photos and (len(photos) > 1 or out or compare):
        raise PipelineError(
            "-: given beside others or with --out or --compare, allowed: alone, one stream into the other"
        )
    try:
        if Path("-") in photos:
            colourise_files.pipe(sys.stdin.buffer, sys.stdout.buffer, how)
        else:
            colourise_files.run(photos, out, how)
    except PipelineError:
        raise
    except Exception as error:
        if ran_out_of_memory(error):
            raise _no_memory("colourise") from None
        raise


@app.command()
def export(
    model: Annotated[
        str | None, typer.Option(help="unet, gan or the path of a .safetensors file; by default unet.")
    ] = None,
    out: Annotated[Path | None, typer.Option(parser=named, help="The ONNX file; by default beside the model.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that export did not write, too.")] = False,
    half: Annotated[bool, typer.Option("--half", help="Weights of 16 bits: a file half as large.")] = False,
    gain: Annotated[float, typer.Option(min=0.1, max=10, help="What the colours are multiplied by.")] = 1,
) -> None:
    """Write a trained colouriser as an ONNX file, with a model card beside it."""
    from pipeline import export

    export.run(model, out, force, half, gain)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 lets other computers in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 7860,
    model: Annotated[str | None, typer.Option(help="unet, gan, photograph or a path: the one chosen at first.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The page's address, if a proxy or a name server gives it a name or a path.")
    ] = None,
) -> None:
    """Show a web page that colours photographs, and answer programs, until Ctrl-C."""
    environment.without_network()
    from pipeline import serve

    serve.run(host, port, model, url)


study = typer.Typer(help="Run the study that params.yaml describes, and say what came out of it.", no_args_is_help=True)
app.add_typer(study, name="study")


AnyCode = Annotated[
    bool, typer.Option("--any-code", help="Count runs of other code as well, where there is none of this code.")
]


@study.command(name="run")
def study_run(
    dry: Annotated[bool, typer.Option("--dry", help="Only list what would be run, and how long.")] = False,
    any_code: AnyCode = False,
) -> None:
    """Train and measure, through DVC, what the study lacks; the same command goes on after any stop."""
    from pipeline.study import run

    if dry:
        run.show(any_code)
        return
    with _stage("study"):
        run.run(any_code)


@study.command(name="report")
def study_report(any_code: AnyCode = False) -> None:
    """Gather all experiments into metrics/study.csv, and say in study.html what they say together."""
    with _stage("study-report"):
        from pipeline.study import report

        report.report(any_code)
