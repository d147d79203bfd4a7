"""The collector of the testkit, under the name by which tests of the platform know it."""

from __future__ import annotations

from makegood_testkit.collector import Collector

__all__ = ["Collector"]
