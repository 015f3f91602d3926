"""The one exception a person is meant to read."""


class InsighteraError(Exception):
    """What was wrong, where, and what to do: the command line prints it without a traceback."""
