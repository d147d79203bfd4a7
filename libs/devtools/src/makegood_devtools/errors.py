"""The error that a command shows to the user, with its exit code."""


class UserError(Exception):
    """An error that the user can fix. `main.run` prints the message on stderr, without a traceback."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
