"""The base class of all events."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from makegood_contracts.topics import Topic

Classification = Literal["public", "internal", "pseudonymous"]
"""Data classification of an event's payload. `pseudonymous`: it has ids of people, but no names, addresses or free text."""

EVENT_TYPES: dict[str, type[Event]] = {}
"""All events by CloudEvents type. Each class adds itself when it is defined."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, named in the past tense. Fields are only ever added, with a default. Readers ignore fields they do not know."""

    topic: ClassVar[Topic]
    classification: ClassVar[Classification] = "pseudonymous"
    version: ClassVar[int] = 1
    type: ClassVar[str] = ""
    """The CloudEvents type, `makegood.<service>.<Fact>.v1`."""

    @classmethod
    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "topic") and not cls.__name__.endswith("Fact"):
            cls.type = f"makegood.{cls.topic.owner}.{cls.__name__}.v{cls.version}"
            EVENT_TYPES[cls.type] = cls

    @property
    def key(self) -> str:
        """The record key and CloudEvents subject: the id of the entity whose events stay in order."""
        return str(getattr(self, self.topic.key))
