"""How many processes of each service and role a stack runs, as `--scale` says it.

`booking=2` are two processes of the stack's role. `booking-serve=2` gives the roles processes of their own: two that serve
requests, and one that works on events, unless `booking-work` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from makegood_devtools.errors import UserError

from makegood_stack.ports import MOST_PROCESSES, SERVICES

ROLES: Final = ("all", "serve", "work")
SPLIT: Final = ("serve", "work")
"""The roles that can be scaled by themselves."""


@dataclass(frozen=True)
class ServiceProcess:
    """One process of a service. `number` is counted from 1, in each role of a split service."""

    service: str
    role: str
    number: int
    split: bool = False
    """Whether the service has processes for each role."""

    @property
    def group(self) -> str:
        """The service, or its role if it is split: what `--scale` counts."""
        return f"{self.service}-{self.role}" if self.split else self.service

    @property
    def name(self) -> str:
        return self.group if self.number == 1 else self.numbered

    @property
    def numbered(self) -> str:
        """A name that never means the whole group."""
        return f"{self.group}-{self.number}"

    @property
    def place(self) -> int:
        """Its place among all processes that the service could have, from 1. Ports follow from it."""
        return self.number + (MOST_PROCESSES if self.split and self.role == "work" else 0)

    @property
    def serves(self) -> bool:
        return self.role != "work"


def processes(service: str, role: str, scale: Mapping[str, int]) -> list[ServiceProcess]:
    """The processes of a service. `role`: that of services which are not split."""
    if not any(f"{service}-{each}" in scale for each in SPLIT):
        return [ServiceProcess(service, role, number) for number in range(1, scale.get(service, 1) + 1)]
    return [
        ServiceProcess(service, each, number, split=True)
        for each in SPLIT
        for number in range(1, scale.get(f"{service}-{each}", 1) + 1)
    ]


def changed(scale: Mapping[str, int], options: Iterable[str]) -> dict[str, int]:
    """The scale with the options of a command applied. Raises UserError for an invalid option.

    A service is split or not: `booking=2` ends an earlier `booking-work=2`, and the other way round.
    """
    given: dict[str, int] = {}
    for option in options:
        name, _, number = option.partition("=")
        if name not in _names() or not number.isdecimal() or not 1 <= int(number) <= MOST_PROCESSES:
            raise UserError(
                f"--scale {option}: must be SERVICE=N, SERVICE-serve=N or SERVICE-work=N with a service of "
                f"{', '.join(SERVICES)} and N from 1 to {MOST_PROCESSES}",
                exit_code=2,
            )
        given[name] = int(number)
    for service in SERVICES:
        roles = [name for name in _names_of_roles(service) if name in given]
        if service in given and roles:
            raise UserError(
                f"--scale {service}={given[service]} and --scale {roles[0]}={given[roles[0]]}: choose one. {service}=N runs "
                f"each process in one role; {service}-serve=N and {service}-work=N scale the roles separately",
                exit_code=2,
            )
    replaced = {other for name in given for other in _replaced_by(name)}
    return {name: count for name, count in scale.items() if name not in replaced} | given


def _names() -> Iterator[str]:
    for service in SERVICES:
        yield service
        yield from _names_of_roles(service)


def _names_of_roles(service: str) -> tuple[str, ...]:
    return tuple(f"{service}-{role}" for role in SPLIT)


def _replaced_by(name: str) -> tuple[str, ...]:
    return _names_of_roles(name) if name in SERVICES else (name.rpartition("-")[0],)
