"""Whether a process is started, ready and alive, with the reasons, for /startupz, /readyz and /livez."""

from __future__ import annotations

from makegood_chassis.metrics import CONDITION_HEALTHY


class Health:
    """Conditions by name, each healthy or with a reason why not. The process is ready if every condition is healthy."""

    def __init__(self) -> None:
        self._problems: dict[str, str | None] = {}
        self.started = False
        self.draining = False

    def expect(self, *names: str) -> None:
        """Adds conditions that are unhealthy until `set_healthy`."""
        for name in names:
            if name not in self._problems:
                self.set_unhealthy(name, "starting")

    def set_healthy(self, name: str) -> None:
        # It is called after each batch, and the metric costs more than the rest.
        if self._problems.get(name, "unknown") is not None:
            CONDITION_HEALTHY.labels(name).set(1)
        self._problems[name] = None

    def set_unhealthy(self, name: str, reason: str) -> None:
        """Operators read `reason`: no personal data, no secrets."""
        self._problems[name] = reason
        CONDITION_HEALTHY.labels(name).set(0)

    def drain(self) -> None:
        """Makes the process not ready, because it is stopping."""
        self.draining = True

    @property
    def ready(self) -> bool:
        return self.started and not self.draining and not self.problems()

    def problems(self) -> dict[str, str]:
        """The unhealthy conditions with their reasons. Empty if the process is ready."""
        problems = {name: reason for name, reason in self._problems.items() if reason is not None}
        if self.draining:
            problems["process"] = "stopping"
        return problems
