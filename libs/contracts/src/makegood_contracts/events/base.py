"""What all events share."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from makegood_contracts.topics import Topic

Classification = Literal["public", "internal", "pseudonymous"]
"""Data classification of an event's payload. `pseudonymous`: ids of people, no names, addresses or texts."""

EVENT_TYPES: dict[str, type[Event]] = {}
"""Every event by its CloudEvents type, filled as the classes are defined."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, named in the past tense. Fields are only ever added, with a default; readers ignore what they don't know."""

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
        """The record's key and CloudEvents subject: the id of the entity whose events keep their order."""
        return str(getattr(self, self.topic.key))
