"""Bugs that the simulator must find: each is one that somebody could make, planted into the services' real code."""

from __future__ import annotations

from typing import Final

from makegood_simulator.planted import of_credits, of_sessions, of_the_chassis
from makegood_simulator.planted.changing import PlantedBug

PLANTED: Final[dict[str, PlantedBug]] = {
    bug.name: bug for bug in (*of_the_chassis.BUGS, *of_sessions.BUGS, *of_credits.BUGS)
}
"""All of them, by name."""

__all__ = ["PLANTED", "PlantedBug"]
