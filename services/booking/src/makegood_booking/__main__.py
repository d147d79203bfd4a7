"""`python -m makegood_booking serve|work|migrate|all`."""

from __future__ import annotations

from makegood_chassis.main import run

from makegood_booking.bootstrap import bootstrap
from makegood_booking.settings import BookingSettings

if __name__ == "__main__":
    run(bootstrap, BookingSettings)
