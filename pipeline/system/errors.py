"""The one family of errors that a user meets, names as a terminal can show them, and what says that memory ran out."""

import errno
import re

MEMORY = re.compile(  # what says so: the system, torch, its devices' libraries, pandas, the dynamic linker
    r"out of memory|(not enough|insufficient) memory|allocate memory|bad.?alloc|alloc_failed|failed to map segment",
    re.IGNORECASE,
)


def printable(text: object) -> str:
    """A line that any terminal can show: control characters, and bytes of a name that are no UTF-8, as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, says that there was not enough memory, of the machine or of a device.

    What a PipelineError says, such as of another command, is for the user.
    """
    while error:
        no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
        says_so = not isinstance(error, PipelineError) and MEMORY.search(str(error))
        if no_memory or isinstance(error, MemoryError) or says_so:
            return True
        error = error.__cause__ or error.__context__
    return False


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
    """Ctrl-C, or another signal that ends a process, with how to go on."""

    exit_code = 130  # as the shell has it


class Unread(PipelineError):
    """Output that nobody reads any more, as with `| head -1`."""

    exit_code = 141  # as the shell has it


class ParamsError(PipelineError):
    """A value in params.yaml that is not allowed."""

    exit_code = 2
