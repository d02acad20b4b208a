"""The one family of errors that a user meets, and names as a terminal can show them."""


def printable(text: object) -> str:
    """A line that any terminal can show: control characters, and bytes of a name that are no UTF-8, as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


class PipelineError(Exception):
    """Something the user can mend: one line that says what was given, what is allowed and the way out."""

    exit_code = 1

    def __init__(self, line: str):
        super().__init__(line)
        self.line = line

    def __str__(self) -> str:
        # Not from the arguments: fastai rewrites those of what a callback raises, over several lines.
        return printable(self.line)


class Stopped(PipelineError):
    """Ctrl-C, with how to go on."""

    exit_code = 130  # as the shell has it


class ParamsError(PipelineError):
    """A value in params.yaml or on the command line that is not allowed."""

    exit_code = 2
