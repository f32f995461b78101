"""The one exception whose text is meant for the person at the screen."""


class UserError(ValueError):
    """A mistake the person can put right: its text is one sentence that says what happened and what to do.

    Pages show it as it is; the command line prints it to standard error and exits with status 2.
    """
