"""Whether a process is started, ready and alive, with the reasons: what /startupz, /readyz and /livez tell."""

from __future__ import annotations


class Health:
    """Conditions by name, each healthy or with a reason why not. The process is ready if every condition is healthy."""

    def __init__(self) -> None:
        self._problems: dict[str, str | None] = {}
        self.started = False
        self.draining = False

    def expect(self, *names: str) -> None:
        """Names conditions that are not fine until somebody says so."""
        for name in names:
            self._problems.setdefault(name, "starting")

    def set_healthy(self, name: str) -> None:
        self._problems[name] = None

    def set_unhealthy(self, name: str, reason: str) -> None:
        """Operators read `reason`: no personal data, no secrets."""
        self._problems[name] = reason

    def drain(self) -> None:
        """From now on not ready: the process stops."""
        self.draining = True

    @property
    def ready(self) -> bool:
        return self.started and not self.draining and not self.problems()

    def problems(self) -> dict[str, str]:
        """What is in the way, by condition; empty when ready."""
        problems = {name: reason for name, reason in self._problems.items() if reason is not None}
        if self.draining:
            problems["process"] = "stopping"
        return problems
