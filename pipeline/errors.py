"""The one family of errors that a user meets."""


class PipelineError(Exception):
    """Something the user can mend: one line that says what was given, what is allowed and the way out."""

    exit_code = 1


class ParamsError(PipelineError):
    """A value in params.yaml or on the command line that is not allowed."""

    exit_code = 2
