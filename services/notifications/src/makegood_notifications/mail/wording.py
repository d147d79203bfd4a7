"""Words of messages: one folder of templates per language, and times as people of that language write them."""

from __future__ import annotations

import re
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
from makegood_chassis.money import money_text

from makegood_notifications.domain.facts import Facts, More
from makegood_notifications.domain.links import PATHS, Links

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


@dataclass(frozen=True, slots=True)
class ShortText:
    """A message for a channel of short ones: a template registered there, and what fills its places."""

    template: str
    language: str
    text: str
    parameters: tuple[str, ...]
    """The values, in the order in which the registered text names them."""
    path: str
    """Where the button leads, below the client app's address."""


@dataclass(frozen=True, slots=True)
class InAppText:
    """A message as the app lists it."""

    title: str
    text: str
    link: str


@lru_cache(maxsize=4096)
def speak(starts_at: datetime, ends_at: datetime, time_zone: str, locale: str) -> Spoken:
    """`Tuesday, November 24, 2026`, `10:00 – 10:30 AM`, `Europe/Berlin, GMT+01:00`; the zone is always named."""
    zone = ZoneInfo(time_zone)
    start, end = starts_at.astimezone(UTC).astimezone(zone), ends_at.astimezone(UTC).astimezone(zone)
    language = locale.replace("-", "_")
    return Spoken(
        date=format_date(start.date(), "full", locale=language),
        times=f"{_clock(start, language)} – {_clock(end, language)}",
        # A hyphen would break in two lines on a narrow screen; a minus stays with its number.
        zone=f"{time_zone}, {get_timezone_gmt(start, locale=language).replace('-', '−')}",
    )


def _clock(moment: datetime, language: str) -> str:
    return format_time(moment.replace(tzinfo=None), "short", locale=language).replace("\u202f", "\u00a0")


def moment(at: datetime, time_zone: str, language: str) -> str:
    """A single instant, date and time, in a zone that the rest of the message names."""
    local = at.astimezone(UTC).astimezone(ZoneInfo(time_zone))
    return f"{format_date(local.date(), 'full', locale=language)}, {_clock(local, language)}"


Line = Callable[[dict[str, Any]], str]
"""One text with its variables put in."""

_VARIABLE: Final = re.compile(r"{{ (\w+) }}")


class Language:
    """The templates of one folder, compiled once."""

    def __init__(self, code: str, plain: Environment) -> None:
        self.code = code
        source = tomllib.loads((FOLDER / code / "messages.toml").read_text(encoding="utf-8"))
        words = source.pop("words")
        self.lists: dict[str, dict[str, str]] = {name: words.pop(name) for name in LISTS}
        self.words = {name: _line(text, plain) for name, text in words.items()}
        self.paragraphs = {
            template: [_line(text, plain) for text in parts.pop("paragraphs", ())] for template, parts in source.items()
        }
        self.short_sources: dict[str, str] = {
            template: parts.get("short") or parts.get("chat", "") for template, parts in source.items()
        }
        self.texts = {
            template: {name: _line(text, plain) for name, text in parts.items()} for template, parts in source.items()
        }

    def word(self, name: str, variables: dict[str, Any]) -> str:
        return self.words[name](variables)

    def text(self, template: str, name: str, variables: dict[str, Any]) -> str:
        return self.texts[template][name](variables)

    def one_of(self, name: str, value: str) -> str:
        """The word for a value of a closed list, such as a modality."""
        return self.lists[name].get(value, value)


LISTS: Final = ("modalities", "outcomes", "parties", "states", "lengths", "obstacles")


def _line(text: str, plain: Environment) -> Line:
    """Most lines have no variables, and need no engine."""
    if "{" not in text:
        return lambda _variables: text
    return plain.from_string(text).render


class Wording:
    """Renders messages. A language without a folder of its own is answered in English."""

    def __init__(self, links: Links) -> None:
        self._links = links
        plain = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - plain text; HTML has its own  # nosec B701
        loader = FileSystemLoader(FOLDER)
        html = Environment(undefined=StrictUndefined, autoescape=True, loader=loader, auto_reload=False)
        text = Environment(  # plain text - no HTML  # nosec B701
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

    @property
    def languages(self) -> list[Language]:
        """All that there are."""
        return [self._languages[code] for code in sorted(self._languages)]

    def language(self, locale: str) -> Language:
        """The language for a locale such as `en-GB`."""
        return self._languages.get(locale.replace("_", "-").split("-")[0].lower()) or self._languages[DEFAULT]

    def chat(self, template: str, facts: Facts, locale: str) -> str:
        """The system message of the room's chat. It holds no names."""
        language = self.language(locale)
        spoken = _speak(language, facts, locale)
        if facts.more is None:
            return _chat(language, template, spoken)
        variables = {**_more(language, facts, facts.more), "when": _when(language, spoken)}
        return language.text(template, "chat", variables)

    def subject(self, template: str, locale: str) -> str:
        """The e-mail's subject; subjects hold no personal data, so that they may be listed."""
        return self.language(locale).text(template, "subject", {})

    def email(
        self,
        template: str,
        facts: Facts,
        *,
        name: str,
        other: str,
        locale: str,
        to: str = "member",
        secret: str | None = None,
    ) -> EmailText:
        """The e-mail to the person `name`, who is `to` in the room, about their session with `other`; either name may be
        unknown (empty). `secret` goes behind the `#` of the link, which no server and no proxy gets to see."""
        language = self.language(locale)
        variables = self._variables(language, facts, locale, name, other, to)
        content: dict[str, Any] = {
            "language": language.code,
            "subject": self.subject(template, locale),
            "preview": language.text(template, "preview", variables),
            "greeting": language.word("greeting" if name else "greeting_nameless", variables),
            "heading": language.text(template, "heading", variables),
            "paragraphs": [line(variables) for line in language.paragraphs[template]],
            "details": _details(language, facts, variables),
            "button": language.text(template, "button", variables),
            "link": self._links.to(language.text(template, "link", {}), facts) + (f"#{secret}" if secret else ""),
            "sign_off": language.word("sign_off", {}),
            "footer": language.word("footer" if facts.session_id and facts.length_minutes else "footer_timeless", {}),
        }
        return EmailText(
            subject=content["subject"],
            text=self._text.render(content),
            html=self._html.render(content),
            summary=language.word("summary", variables),
            link=content["link"],
            language=language.code,
        )

    def short(self, template: str, facts: Facts, *, other: str, locale: str, to: str = "member") -> ShortText:
        """The message for WhatsApp: the places of the registered template are filled in the order of its text."""
        language = self.language(locale)
        variables = self._variables(language, facts, locale, "", other, to)
        source = language.short_sources[template]
        return ShortText(
            template=registered_name(template),
            language=language.code,
            text=_VARIABLE.sub(lambda found: str(variables[found[1]]), source),
            parameters=tuple(str(variables[name]) for name in _VARIABLE.findall(source)),
            path=PATHS[language.text(template, "link", {})](facts),
        )

    def in_app(self, template: str, facts: Facts, *, other: str, locale: str, to: str = "member") -> InAppText:
        """The message as the app lists it: the e-mail's heading and paragraphs."""
        language = self.language(locale)
        variables = self._variables(language, facts, locale, "", other, to)
        lines = [line(variables) for line in language.paragraphs[template]]
        lines += [f"{label}: {value}" for label, value in _details(language, facts, variables)]
        return InAppText(
            title=language.text(template, "heading", variables),
            text="\n".join(lines),
            link=self._links.to(language.text(template, "link", {}), facts),
        )

    def summary(self, facts: Facts, status: str, *, other: str, locale: str, to: str) -> str:
        """The appointment's title in the calendar that a person follows."""
        language = self.language(locale)
        variables = self._variables(language, facts, locale, "", other, to)
        word = "summary_no_show" if status == "member_no_show" else "summary"
        return language.word(word, variables)

    def link(self, what: str, facts: Facts) -> str:
        """An address in the client app."""
        return self._links.to(what, facts)

    def time_request(self, lengths: list[int], locale: str) -> str:
        """The ready message to the provider (AVAIL-5), with the lengths that the plan includes; without any, none is named."""
        language = self.language(locale)
        how_long = f" {language.one_of('lengths', 'or')} ".join(str(length) for length in lengths)
        return language.word("time_request" if lengths else "time_request_any", {"length": how_long})

    def _variables(
        self, language: Language, facts: Facts, locale: str, name: str, other: str, to: str
    ) -> dict[str, Any]:
        spoken = _speak(language, facts, locale)
        provider = (other if to == "member" else "") or language.word("provider", {})
        member = (other if to == "provider" else "") or language.word("member", {})
        with_provider = (other if to == "member" else "") or language.word("with_provider", {})
        with_member = (other if to == "provider" else "") or language.word("with_member", {})
        variables: dict[str, Any] = {
            "name": name,
            "provider": provider,
            "Provider": provider[:1].upper() + provider[1:],
            "member": member,
            "Member": member[:1].upper() + member[1:],
            "with_provider": with_provider,
            "with_member": with_member,
            "with_other": with_provider if to == "member" else with_member,
            "date": spoken.date,
            "times": spoken.times,
            "zone": spoken.zone,
            "length": facts.length_minutes,
            "modality": language.one_of("modalities", facts.modality),
            "forfeits": facts.forfeits,
            "tentative": facts.tentative,
            "invited": facts.method is not None,
        }
        if facts.more is not None:
            variables |= _more(language, facts, facts.more)
        variables["when"] = language.word("when_line", variables)
        return variables


def registered_name(template: str) -> str:
    """The name under which WhatsApp knows a template."""
    return f"makegood_{template.replace('-', '_')}"


def _details(language: Language, facts: Facts, variables: dict[str, Any]) -> list[tuple[str, str]]:
    """The table below the text: the appointment, what is owed, until when something can be done."""
    rows: list[tuple[str, str]] = []
    more = facts.more
    if more is not None and more.currency:
        rows.append((language.word("amount", {}), variables["amount"]))
        if more.due_on is not None:
            rows.append((language.word("due", {}), variables["due"]))
    if facts.length_minutes:
        if more is not None and more.was_at is not None:
            rows.append((language.word("was", {}), variables["was"]))
        rows += [
            (language.word("date", {}), variables["date"]),
            (language.word("times", {}), variables["times"]),
            (language.word("zone", {}), variables["zone"]),
            (language.word("kind", {}), language.word("kind_line", variables)),
            (language.word("with", {}), variables["with_other"]),
        ]
    if more is not None and more.confirm_by is not None:
        rows.append((language.word("confirm_by", {}), variables["confirm_by"]))
    if more is not None and more.open_until is not None:
        rows.append((language.word("open_until", {}), variables["open_until"]))
    if more is not None and more.erase_at is not None:
        rows.append((language.word("erase_at", {}), variables["erase_at"]))
    if not facts.length_minutes and more is not None and (more.confirm_by or more.erase_at):
        rows.append((language.word("zone", {}), variables["zone"]))
    return rows


def _more(language: Language, facts: Facts, more: More) -> dict[str, Any]:
    """Variables of what only some messages say."""
    code, zone = language.code, facts.time_zone
    return {
        "was": moment(more.was_at, zone, code) if more.was_at else "",
        "confirm_by": moment(more.confirm_by, zone, code) if more.confirm_by else "",
        "open_until": moment(more.open_until, zone, code) if more.open_until else "",
        "erase_at": moment(more.erase_at, zone, code) if more.erase_at else "",
        "amount": money_text(more.amount_minor, more.currency, code) if more.currency else "",
        "due": format_date(more.due_on, "long", locale=code) if more.due_on else "",
        "about": more.about,
        "party": more.party,
        "who": language.one_of("parties", more.party),
        "outcome": language.one_of("outcomes", more.outcome),
        "old_outcome": language.one_of("outcomes", more.old_outcome),
        "state": language.one_of("states", more.state),
        "obstacles": "; ".join(language.one_of("obstacles", code) for code in more.obstacles.split()),
    }


@lru_cache(maxsize=4096)
def _chat(language: Language, template: str, spoken: Spoken) -> str:
    """Many sessions start at the same moment, and their messages read the same."""
    return language.text(template, "chat", {"when": _when(language, spoken)})


def _when(language: Language, spoken: Spoken) -> str:
    return language.word("when_line", {"date": spoken.date, "times": spoken.times, "zone": spoken.zone})


def _speak(language: Language, facts: Facts, locale: str) -> Spoken:
    """As people of the locale write times, if it is one of the language that the message is in."""
    own = locale.replace("_", "-").split("-")[0].lower() == language.code
    try:
        return speak(facts.starts_at, facts.ends_at, facts.time_zone, locale if own else language.code)
    except (UnknownLocaleError, ValueError):  # such as `en-12`, in which Babel finds no locale at all
        return speak(facts.starts_at, facts.ends_at, facts.time_zone, language.code)
