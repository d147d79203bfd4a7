"""The `makegood` command line. Commands are in `commands`; errors are printed as one line, without a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer
from makegood_devtools.errors import UserError
from typer.exceptions import TyperException

from makegood_cli import lost_servers
from makegood_cli.commands import register_all
from makegood_cli.terminal import console, quiet_libraries

app = typer.Typer(
    name="makegood",
    help="Run and inspect the Makegood platform on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback if an error occurs.")] = False,
) -> None:
    """Run and inspect the Makegood platform on this machine."""
    if debug:
        os.environ["MAKEGOOD_DEBUG"] = "1"


# Typer's exit code after Ctrl-C, by shell convention 128 + SIGINT.
_INTERRUPTED = 130


def run() -> None:
    """The entry point. Exit codes: 0 success, 1 failure, 2 wrong usage, 3 unsupported platform, 130 Ctrl-C."""
    errors = console(stderr=True)
    quiet_libraries()
    try:
        register_all(app, sys.argv[1:])
        code = app(prog_name="makegood", standalone_mode=False)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except UserError as error:
        _raise_if_debugging()
        errors.print(f"makegood: {error.message}", style="red", markup=False)
        sys.exit(error.exit_code)
    except TyperException as error:
        # Wrong usage. Typer's errors print themselves.
        show = getattr(error, "show", None)
        show() if show else errors.print(str(error), markup=False)
        sys.exit(getattr(error, "exit_code", 2))
    except (KeyboardInterrupt, typer.Abort):
        errors.print("makegood: interrupted. Run the same command again to continue.", markup=False)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        # The reader of the pipe has exited (`| head`), which is not an error.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        _raise_if_debugging()
        unexpected = f"unexpected {type(error).__name__}: {error} (for details, run makegood --debug …)"
        errors.print(f"makegood: {lost_servers.told(error) or unexpected}", markup=False)
        sys.exit(1)


def _raise_if_debugging() -> None:
    if os.environ.get("MAKEGOOD_DEBUG"):
        raise


if __name__ == "__main__":
    run()
