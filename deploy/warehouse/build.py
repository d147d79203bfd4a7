"""From an export to a tested warehouse, its documentation and the executed notebook. Run by `make warehouse`.

It needs the packages of `requirements.lock`, and nothing of the platform's own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
EXPORT: Final = "makegood.duckdb"
WAREHOUSE: Final = "warehouse.duckdb"
REPORT: Final = "report.html"
_CELL_SECONDS: Final = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__)
    parser.add_argument(
        "export", type=Path, metavar="DIR", help="where `makegood topics export --format duckdb` wrote to"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where the results go (default: `warehouse` in the export)"
    )
    parser.add_argument(
        "--withdrawn", type=Path, metavar="FILE", help="a CSV with the column event_id: events to leave out"
    )
    parser.add_argument(
        "--as-of", default="", metavar="TIME", help="what counts as now (default: the latest in the export)"
    )
    chosen = parser.parse_args()
    export = (chosen.export / EXPORT).resolve()
    if not export.is_file():
        sys.stderr.write(
            f"{export} is not there. Make it with: makegood topics export {chosen.export} --format duckdb\n"
        )
        return 2
    output = (chosen.output or chosen.export / "warehouse").resolve()
    output.mkdir(parents=True, exist_ok=True)
    for earlier in (WAREHOUSE, f"{WAREHOUSE}.wal", REPORT):
        # Pages that DuckDB no longer uses, and old charts, still name people who were erased since.
        (output / earlier).unlink(missing_ok=True)
    variables = {"as_of": chosen.as_of, "withdrawn": str(chosen.withdrawn.resolve()) if chosen.withdrawn else ""}
    if not build(export, output, variables):
        sys.stderr.write("the warehouse was not built, or a test of it failed: see above\n")
        return 1
    report(output)
    sys.stdout.write(
        f"warehouse      {output / WAREHOUSE}\n"
        f"documentation  {output / 'target' / 'static_index.html'}\n"
        f"report         {output / REPORT}\n"
    )
    return 0


def build(export: Path, output: Path, variables: dict[str, str]) -> bool:
    """Builds all models from the export and runs all tests. Says whether everything went well."""
    environment = os.environ | {"MAKEGOOD_EXPORT": str(export), "MAKEGOOD_WAREHOUSE": str(output / WAREHOUSE)}
    folders = {"project-dir": HERE, "profiles-dir": HERE, "target-path": output / "target", "log-path": output / "logs"}
    options = [f"--{name}={path}" for name, path in folders.items()]
    for command in (["build"], ["docs", "generate", "--static"]):
        # A process of its own, because DuckDB lets nobody else read while it has the file open.
        words = [
            str(Path(sys.executable).with_name("dbt")),
            "--quiet",
            *command,
            *options,
            f"--vars={json.dumps(variables)}",
        ]
        if subprocess.run(words, env=environment, check=False).returncode:  # noqa: S603 - our own command
            return False
    return True


def report(output: Path) -> None:
    """Executes the notebook on the warehouse and writes it as one HTML file. Raises CellExecutionError."""
    with tempfile.TemporaryDirectory(prefix="makegood-") as folder:
        # What Jupyter and its libraries write is of no use later.
        os.environ |= dict.fromkeys(("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "MPLCONFIGDIR"), folder)
        os.environ["MAKEGOOD_WAREHOUSE"] = str(output / WAREHOUSE)
        import jupytext
        from nbclient import NotebookClient
        from nbconvert import HTMLExporter
        from traitlets.config import Config

        notebook = jupytext.read(HERE / "questions.py")
        # Sockets in that folder: nobody else on this machine can reach the kernel.
        private = Config(KernelManager=Config(transport="ipc"))
        NotebookClient(notebook, kernel_name="python3", timeout=_CELL_SECONDS, config=private).execute()
        page, _ = HTMLExporter(exclude_input=True, exclude_output_prompt=True).from_notebook_node(notebook)
    (output / REPORT).write_text(page)


if __name__ == "__main__":
    raise SystemExit(main())
