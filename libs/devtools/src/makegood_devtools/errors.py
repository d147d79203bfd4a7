"""The one kind of error that a command shows to a person: a clear line, and the exit code that goes with it."""


class UserError(Exception):
    """Something the user can act on. `main.run` prints the message on stderr, without a traceback."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
