"""Each module that starts something does so in a home of its own."""

from makegood_testkit.places import home, offset, place

__all__ = ["home", "offset", "place"]
