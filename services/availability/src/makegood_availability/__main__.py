"""`python -m makegood_availability serve|work|migrate|all`."""

from __future__ import annotations

from makegood_chassis.main import run

from makegood_availability.bootstrap import bootstrap
from makegood_availability.settings import AvailabilitySettings

if __name__ == "__main__":
    run(bootstrap, AvailabilitySettings)
