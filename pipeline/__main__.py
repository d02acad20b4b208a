"""`python -m pipeline COMMAND`, and `colourgan PHOTO…`, which is what one takes away."""

import importlib
import os
import signal
import sys
from typing import NoReturn

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until main can tell of it, Ctrl-C ends all without a traceback

from pipeline.system import environment, memory
from pipeline.system.errors import PipelineError, Stopped, Unread, printable

COMPUTING = {"pretrain", "train-unet", "train-gan", "evaluate"}


def main() -> None:
    """Run a command of the pipeline."""
    _run("pipeline.cli", "python -m pipeline")


def colourgan() -> None:
    """Colour photographs, or show the page."""
    _run("pipeline.command", "colourgan")


def _run(module: str, name: str) -> None:
    """Run a module's `app`; what the user can mend ends in one line and an exit code that is not 0."""
    try:
        environment.settle()
        app = importlib.import_module(module).app  # it imports what reads the environment
        app(prog_name=name)
    except PipelineError as error:
        _end(error.exit_code, str(error))
    except KeyboardInterrupt:
        _end(Stopped.exit_code, "stopped; run the same command again")
    except OSError as error:  # of which no command spoke
        _end(1, f"{error.filename or 'output'}: {error.strerror or error}")
    except SystemExit as end:
        _end(end.code if isinstance(end.code, int) else int(end.code is not None))
    except Exception as error:
        if not (line := environment.import_failure(error)):
            raise
        _end(1, line)


def _end(code: int, line: str | None = None) -> NoReturn:
    """Write what was printed, and a line about what is wrong."""
    if line:
        print(f"error: {printable(line)}", file=sys.stderr)
    output = sys.__stdout__ or sys.stdout  # Typer may have put another, which keeps quiet, in the place of sys.stdout
    try:
        output.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # for what Python would still write
        if isinstance(error, BrokenPipeError):
            sys.exit(Unread.exit_code)
        if not line:
            print(f"error: output: {error.strerror}", file=sys.stderr)
        sys.exit(code or 1)
    sys.exit(code)


if __name__ == "__main__":
    if COMPUTING.intersection(sys.argv[1:2]):
        memory.keep()
    main()
