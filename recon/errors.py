"""The one exception whose message is meant for the person at the keyboard."""


class ReconError(Exception):
    """A problem with the input or the machine, told in a sentence that says what to do.

    The command line prints the message and exits with status 2; no stack trace is shown.
    """
