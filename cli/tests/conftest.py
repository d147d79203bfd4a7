"""Each module that starts something does so in a home of its own."""

from makegood_testkit.places import cli, home, offset, place

__all__ = ["cli", "home", "offset", "place"]
