"""`python -m pipeline COMMAND`."""

import sys
import warnings

from pipeline import memory
from pipeline.cli import app
from pipeline.errors import PipelineError

TRAINING = {"pretrain", "train-unet", "train-gan"}


def main() -> None:
    """Run a command; a user's mistake ends in one line and an exit code that is not 0."""
    # fastai scripts two functions with torch.jit when it is imported, of which torch warns.
    warnings.filterwarnings("ignore", "`torch.jit.script", FutureWarning)
    try:
        app(prog_name="python -m pipeline")
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    if TRAINING.intersection(sys.argv[1:2]):
        memory.keep()
    main()
