"""Answers that get lost (REL-5): what a server was asked for is done, and the caller sees a time-out.

    losing = LostAnswers(folder, share=0.1, seed=5)
    platform = Platform.at(folder, losing.environment)

The services have no switch for this. Python imports `sitecustomize` at the start of each process that has its folder in
PYTHONPATH, and that installs a hook at the failpoints just behind an answer.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from makegood_chassis.messaging import failpoints
from makegood_chassis.messaging.failpoints import Failpoint

_SWITCH: Final = "LOST_ANSWERS"
_SAID: Final = "answer lost at "


class LostAnswers:
    """Between `begin` and `end`, this share of the answers is lost, each process with random numbers of its own."""

    def __init__(self, folder: Path, *, share: float, seed: int) -> None:
        self._switch = folder / "losing"
        self._order = f"{share} {seed}"
        place = folder / "python"
        place.mkdir()
        (place / "sitecustomize.py").write_text("from makegood_testkit import lost_answers\n\nlost_answers.install()\n")
        self.environment: Mapping[str, str] = {"PYTHONPATH": str(place), _SWITCH: str(self._switch)}

    @contextmanager
    def losing(self) -> Iterator[None]:
        """Answers are lost in this block."""
        self._switch.with_suffix(".new").write_text(self._order)
        self._switch.with_suffix(".new").rename(self._switch)
        try:
            yield
        finally:
            self._switch.unlink()

    @staticmethod
    def counts(logs: Path) -> Counter[str]:
        """How many answers were lost at each failpoint, from the processes' logs."""
        lines = (line for log in logs.glob("*.log*") for line in log.read_text(errors="replace").splitlines())
        return Counter(line.removeprefix(_SAID) for line in lines if line.startswith(_SAID))


def install() -> None:
    """Installs the hook in a service's process. Elsewhere it does nothing."""
    name, place = os.environ.get("MAKEGOOD_PROCESS", ""), os.environ.get(_SWITCH, "")
    if not place or name.split("-")[0] not in ("booking", "availability", "credits", "notifications"):
        return
    switch = Path(place)
    chances: dict[str, random.Random] = {}

    def hook(point: Failpoint) -> None:
        error = ERRORS.get(point)
        if error is None:
            return
        try:
            share, seed = switch.read_text().split()
        except FileNotFoundError:
            return
        chance = chances.setdefault(seed, random.Random(f"{seed} {name}"))
        if chance.random() < float(share):
            print(_SAID + point, file=sys.stderr, flush=True)  # noqa: T201 (to the process's log)
            raise error()

    failpoints.install(hook)


def _kafka() -> Exception:
    from aiokafka.errors import KafkaTimeoutError

    error: Exception = KafkaTimeoutError()
    return error


def _whatsapp() -> Exception:
    import httpx

    return httpx.ReadTimeout("lost")


def _stripe() -> Exception:
    import stripe

    return stripe.APIConnectionError("lost")  # type: ignore[no-untyped-call]


ERRORS: Final[Mapping[Failpoint, Callable[[], Exception]]] = {
    "unit.committed": TimeoutError,
    "statement.committed": TimeoutError,
    "lease.renewed": TimeoutError,
    "relay.deleted": TimeoutError,
    "relay.sent": _kafka,
    "consumer.after_offsets": _kafka,
    "mail.answered": TimeoutError,
    "whatsapp.answered": _whatsapp,
    "payment.answered": _stripe,
}
"""What the caller sees if the answer is lost at this failpoint."""
