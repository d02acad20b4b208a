"""What is refused to visitors and programs: in words, and with the status that HTTP has for it."""

from pipeline.system.errors import PipelineError

LATER = {429, 503}  # of what may be asked again in a while


class Refusal(PipelineError):
    """Something that is not done for whoever asks, and why.

    Args:
        status: of HTTP.
        line: in words, with the way out.
    """

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status = status


def status(error: PipelineError) -> int:
    """What HTTP has for an error; what is wrong with a photograph or a choice is 422."""
    return error.status if isinstance(error, Refusal) else 422


def sentence(line: object) -> str:
    """An error, or what is told, as it is shown."""
    line = str(line)
    return f"{line[:1].upper()}{line[1:].rstrip('.')}."
