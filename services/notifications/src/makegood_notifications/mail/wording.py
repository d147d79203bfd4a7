"""Words of messages: one folder of templates per language, and times as people of that language write them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.core import UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_gmt
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from makegood_notifications.domain.facts import Facts
from makegood_notifications.domain.links import Links

FOLDER: Final = Path(__file__).parent.parent / "templates"
DEFAULT: Final = "en"


@dataclass(frozen=True, slots=True)
class EmailText:
    """One e-mail's two readings of the same lines."""

    subject: str
    text: str
    html: str
    summary: str
    """The appointment's title in the recipient's calendar."""
    link: str
    """Where the button leads."""
    language: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """A session's time in the zone it was booked in (BOOK-2), as people read it."""

    date: str
    times: str
    zone: str


@lru_cache(maxsize=4096)
def speak(starts_at: datetime, ends_at: datetime, time_zone: str, locale: str) -> Spoken:
    """`Tuesday, November 24, 2026`, `10:00 – 10:30 AM`, `Europe/Berlin, GMT+01:00`; the zone is always named."""
    zone = ZoneInfo(time_zone)
    start, end = starts_at.astimezone(UTC).astimezone(zone), ends_at.astimezone(UTC).astimezone(zone)
    language = locale.replace("-", "_")
    return Spoken(
        date=format_date(start.date(), "full", locale=language),
        times=f"{_clock(start, language)} – {_clock(end, language)}",
        zone=f"{time_zone}, {get_timezone_gmt(start, locale=language)}",
    )


def _clock(moment: datetime, language: str) -> str:
    return format_time(moment.replace(tzinfo=None), "short", locale=language).replace("\u202f", "\u00a0")


Line = Callable[[dict[str, Any]], str]
"""One text with its variables put in."""


class Language:
    """The templates of one folder, compiled once."""

    def __init__(self, code: str, plain: Environment) -> None:
        self.code = code
        source = tomllib.loads((FOLDER / code / "messages.toml").read_text(encoding="utf-8"))
        words = source.pop("words")
        self.modalities: dict[str, str] = words.pop("modalities")
        self.words = {name: _line(text, plain) for name, text in words.items()}
        self.paragraphs = {
            template: [_line(text, plain) for text in parts.pop("paragraphs", ())] for template, parts in source.items()
        }
        self.texts = {
            template: {name: _line(text, plain) for name, text in parts.items()} for template, parts in source.items()
        }

    def word(self, name: str, variables: dict[str, Any]) -> str:
        return self.words[name](variables)

    def text(self, template: str, name: str, variables: dict[str, Any]) -> str:
        return self.texts[template][name](variables)


def _line(text: str, plain: Environment) -> Line:
    """Most lines have no variables, and need no engine."""
    if "{" not in text:
        return lambda _variables: text
    return plain.from_string(text).render


class Wording:
    """Renders messages. A language without a folder of its own is answered in English."""

    def __init__(self, links: Links) -> None:
        self._links = links
        plain = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 (plain text; HTML has its own)
        loader = FileSystemLoader(FOLDER)
        html = Environment(undefined=StrictUndefined, autoescape=True, loader=loader, auto_reload=False)
        text = Environment(
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 (plain text)
            loader=loader,
            auto_reload=False,
            keep_trailing_newline=True,
        )
        self._html, self._text = html.get_template("layout.html.j2"), text.get_template("layout.txt.j2")
        self._languages = {
            folder.parent.name: Language(folder.parent.name, plain) for folder in FOLDER.glob("*/messages.toml")
        }

    def language(self, locale: str) -> Language:
        """The language for a locale such as `en-GB`."""
        return self._languages.get(locale.replace("_", "-").split("-")[0].lower()) or self._languages[DEFAULT]

    def chat(self, template: str, facts: Facts, locale: str) -> str:
        """The system message of the room's chat. It holds no names."""
        language = self.language(locale)
        spoken = _speak(language, facts, locale)
        return _chat(language, template, spoken)

    def subject(self, template: str, locale: str) -> str:
        """The e-mail's subject; subjects hold no personal data, so that they may be listed."""
        return self.language(locale).text(template, "subject", {})

    def email(self, template: str, facts: Facts, *, name: str, provider: str, locale: str) -> EmailText:
        """The e-mail to the person `name` about their session with `provider`; either may be unknown (empty)."""
        language = self.language(locale)
        variables = self._variables(language, facts, locale, name, provider)
        link = language.text(template, "link", {})
        content: dict[str, Any] = {
            "language": language.code,
            "subject": self.subject(template, locale),
            "preview": language.text(template, "preview", variables),
            "greeting": language.word("greeting" if name else "greeting_nameless", variables),
            "heading": language.text(template, "heading", variables),
            "paragraphs": [line(variables) for line in language.paragraphs[template]],
            "details": [
                (language.word("date", {}), variables["date"]),
                (language.word("times", {}), variables["times"]),
                (language.word("zone", {}), variables["zone"]),
                (language.word("kind", {}), language.word("kind_line", variables)),
                (language.word("with", {}), variables["provider"]),
            ],
            "button": language.text(template, "button", variables),
            "link": self._links.rebook(facts) if link == "rebook" else self._links.session(facts),
            "sign_off": language.word("sign_off", {}),
            "footer": language.word("footer", {}),
        }
        return EmailText(
            subject=content["subject"],
            text=self._text.render(content),
            html=self._html.render(content),
            summary=language.word("summary", variables),
            link=content["link"],
            language=language.code,
        )

    def _variables(self, language: Language, facts: Facts, locale: str, name: str, provider: str) -> dict[str, Any]:
        spoken = _speak(language, facts, locale)
        provider = provider or language.word("provider", {})
        variables: dict[str, Any] = {
            "name": name,
            "provider": provider,
            "Provider": provider[:1].upper() + provider[1:],
            "date": spoken.date,
            "times": spoken.times,
            "zone": spoken.zone,
            "length": facts.length_minutes,
            "modality": language.modalities.get(facts.modality, facts.modality),
            "forfeits": facts.forfeits,
        }
        variables["when"] = language.word("when_line", variables)
        return variables


@lru_cache(maxsize=4096)
def _chat(language: Language, template: str, spoken: Spoken) -> str:
    """Many sessions start at the same moment, and their messages read the same."""
    when = language.word("when_line", {"date": spoken.date, "times": spoken.times, "zone": spoken.zone})
    return language.text(template, "chat", {"when": when})


def _speak(language: Language, facts: Facts, locale: str) -> Spoken:
    """As people of the locale write times, if it is one of the language that the message is in."""
    own = locale.replace("_", "-").split("-")[0].lower() == language.code
    try:
        return speak(facts.starts_at, facts.ends_at, facts.time_zone, locale if own else language.code)
    except UnknownLocaleError:
        return speak(facts.starts_at, facts.ends_at, facts.time_zone, language.code)
