"""Messages in words: what each channel says, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from makegood_notifications.domain.deliveries import LEADS_TO_TIMES
from makegood_notifications.domain.links import PATHS, Links
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.domain.venues import NO_VENUES, Venue, Venues, to_be_named
from makegood_notifications.mail.formatting import Formatter, Spoken, formatter
from makegood_notifications.mail.forms import OF_NO_SESSION, Form, registered_name
from makegood_notifications.mail.languages import Language, templates
from makegood_notifications.mail.texts import AppointmentText, EmailText, InAppText, ShortText

DEFAULT: Final = "en"
_VARIABLE: Final = re.compile(r"{{ (\w+) }}")


class Wording:
    """Renders messages. A language without its own folder of templates falls back to English."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._html, self._text, self._languages = templates()

    @property
    def languages(self) -> list[Language]:
        """All languages."""
        return [self._languages[code] for code in sorted(self._languages)]

    def language(self, locale: str) -> Language:
        """The language for a locale such as `en-GB`."""
        return self._languages.get(locale.replace("_", "-").split("-")[0].lower()) or self._languages[DEFAULT]

    def chat(self, template: str, content: Content, locale: str, *, venues: Venues = NO_VENUES) -> str:
        """The system message in the room's chat, without names of people. Venues missing from `venues` are filled in
        when it is read (`with_names`).
        """
        language = self.language(locale)
        meanwhile = self._elsewhere(language, content)
        venues = {**{one: Venue(to_be_named(one, meanwhile)) for one in content.venue_ids}, **venues}
        format_ = formatter(locale, language.code)
        when = _when(language, _spoken(content, format_))
        if content.details is None:
            text = _chat(language, template, when)
        else:
            variables = {**self._detail_variables(language, content, content.details, format_, venues), "when": when}
            text = language.text(template, "chat", variables)
        if not content.length_minutes or not _somewhere(content):
            return text
        return f"{text}\n{language.word('where', {})}: {self._where(language, content, content.venue_id, venues)}"

    def subject(self, template: str, locale: str) -> str:
        """The e-mail's subject. Subjects contain no personal data, so that they may be listed."""
        return self.language(locale).text(template, "subject", {})

    def email(
        self,
        template: str,
        content: Content,
        *,
        name: str,
        other: str,
        locale: str,
        to: str = "member",
        secret: str | None = None,
        venues: Venues = NO_VENUES,
        remark: str | None = None,
        rebookable: bool = True,
    ) -> EmailText:
        """The e-mail to the person `name`, who is `to` in the room, about their session with `other`. Either name may
        be unknown (empty). `secret` goes after the `#` of the link, which no server or proxy sees. `remark`: what the
        other party wrote. `rebookable`: whether a message that leads to other times may still do so.
        """
        language = self.language(locale)
        variables = self._variables(language, content, locale, name, other, to, venues) | {"rebookable": rebookable}
        link, button = _button(language, template, rebookable)
        words = {
            "language": language.code,
            "subject": self.subject(template, locale),
            "preview": language.text(template, "preview", variables),
            "greeting": language.word("greeting" if name else "greeting_nameless", variables),
            "heading": language.text(template, "heading", variables),
            "remark_by": language.word(f"remark_to_{to}", variables) if remark else "",
            "button": button,
            "link": self._links.to(link, content) + (f"#{secret}" if secret else ""),
            "sign_off": language.word("sign_off", {}),
            "footer": language.word(
                "footer" if content.session_id and content.length_minutes else "footer_timeless", {}
            ),
        }
        lists: dict[str, Any] = {
            "paragraphs": [line(variables) for line in language.paragraphs[template]],
            "remark": remark.split("\n") if remark else [],
            "details": _detail_rows(language, content, variables),
        }
        return EmailText(
            subject=words["subject"],
            text=self._text.render(words, **lists),
            html=self._html.render(words, **lists),
            appointment=self._appointment(language, content, variables, "summary", words["link"]),
            language=language.code,
        )

    def short(
        self,
        template: str,
        content: Content,
        *,
        other: str,
        locale: str,
        to: str = "member",
        venues: Venues = NO_VENUES,
        rebookable: bool = True,
    ) -> ShortText:
        """The message for WhatsApp. The variables of the registered template are filled in the order of its text.
        `rebookable` as for an e-mail.
        """
        language = self.language(locale)
        variables = self._variables(language, content, locale, "", other, to, venues)
        form = Form(
            rebookable=rebookable or template not in LEADS_TO_TIMES,
            somewhere=_somewhere(content) or template not in OF_NO_SESSION,
        )
        source = language.short_source(template, somewhere=form.somewhere)
        link, _ = _button(language, template, form.rebookable)
        return ShortText(
            template=registered_name(template, form),
            language=language.code,
            text=_VARIABLE.sub(lambda found: str(variables[found[1]]), source),
            parameters=tuple(str(variables[name]) for name in _VARIABLE.findall(source)),
            path=PATHS[link](content),
        )

    def in_app(
        self,
        template: str,
        content: Content,
        *,
        other: str,
        locale: str,
        to: str = "member",
        venues: Venues = NO_VENUES,
        remark: str | None = None,
    ) -> InAppText:
        """The message as the app lists it: the e-mail's heading and paragraphs, and what the other party wrote."""
        language = self.language(locale)
        variables = self._variables(language, content, locale, "", other, to, venues)
        lines = [line(variables) for line in language.paragraphs[template]]
        if remark:
            lines += [language.word(f"remark_to_{to}", variables), *(f"> {line}" for line in remark.split("\n"))]
        lines += [f"{label}: {value}" for label, value in _detail_rows(language, content, variables)]
        return InAppText(
            title=language.text(template, "heading", variables),
            text="\n".join(lines),
            link=self._links.to(language.text(template, "link", {}), content),
        )

    def appointment(
        self, content: Content, status: str, *, other: str, locale: str, to: str, venues: Venues = NO_VENUES
    ) -> AppointmentText:
        """The session as a person's calendar shows it."""
        language = self.language(locale)
        variables = self._variables(language, content, locale, "", other, to, venues)
        word = "summary_no_show" if status == "member_no_show" else "summary"
        return self._appointment(language, content, variables, word, self._links.session(content))

    def time_request(self, lengths: list[int], locale: str) -> str:
        """The ready message to the provider (AVAIL-5). It names the lengths that the plan includes, if they are known."""
        language = self.language(locale)
        how_long = f" {language.one_of('lengths', 'or')} ".join(str(length) for length in lengths)
        return language.word("time_request" if lengths else "time_request_any", {"length": how_long})

    def _variables(
        self, language: Language, content: Content, locale: str, name: str, other: str, to: str, venues: Venues
    ) -> dict[str, Any]:
        format_ = formatter(locale, language.code)
        spoken = _spoken(content, format_)
        provider, member = (other if to == "member" else ""), (other if to == "provider" else "")
        with_provider = provider or language.word("with_provider", {})
        with_member = member or language.word("with_member", {})
        variables: dict[str, Any] = {
            "name": name,
            "provider": provider or language.word("provider", {}),
            "member": member or language.word("member", {}),
            # Our own words begin a sentence with a capital letter. People's names stay as they write them.
            "Provider": provider or _capital(language.word("provider", {})),
            "Member": member or _capital(language.word("member", {})),
            "with_provider": with_provider,
            "with_member": with_member,
            "with_other": with_provider if to == "member" else with_member,
            "date": spoken.date,
            "times": spoken.times,
            "zone": spoken.zone,
            "where": self._where(language, content, content.venue_id, venues),
            "length": content.length_minutes,
            "modality": language.one_of("modalities", content.modality),
            "in_person": content.modality == "in_person",
            "forfeits": content.forfeits,
            "tentative": content.tentative,
            "rebookable": True,
            "invited": content.method is not None,
        }
        if content.details is not None:
            variables |= self._detail_variables(language, content, content.details, format_, venues)
        variables["when"] = _when(language, spoken)
        return variables

    def _where(self, language: Language, content: Content, venue_id: str | None, venues: Venues) -> str:
        """The venue's name and place, or the page on which the session is joined. That page also shows what is not
        known here.
        """
        if venue_id is not None and (venue := venues.get(venue_id)) is not None:
            return venue.text
        return self._elsewhere(language, content)

    def _elsewhere(self, language: Language, content: Content) -> str:
        """What replaces a venue's name."""
        return self._links.session(content) if content.session_id else language.one_of("modalities", content.modality)

    def _appointment(
        self, language: Language, content: Content, variables: dict[str, Any], summary: str, link: str
    ) -> AppointmentText:
        if not content.length_minutes:  # about which its reader must learn nothing
            return AppointmentText(language.word("summary_untold", {}), "", "", link)
        where = variables["where"]
        lines = [variables["when"], language.word("kind_line", variables), f"{language.word('where', {})}: {where}"]
        page = self._links.session(content)
        if where != page:
            lines.append(page)
        return AppointmentText(language.word(summary, variables), where, "\n".join(lines), link)

    def _detail_variables(
        self, language: Language, content: Content, details: Details, format_: Formatter, venues: Venues
    ) -> dict[str, Any]:
        """Variables of what only some messages say."""

        def moment(at: datetime | None) -> str:
            return format_.moment(at, content.time_zone, content.starts_at) if at else ""

        obstacles = "; ".join(language.one_of("obstacles", code) for code in details.obstacles.split())
        return {
            "was": ", ".join(self._was(language, content, details, format_, venues)),
            "confirm_by": moment(details.confirm_by),
            "answer_by": moment(details.answer_by),
            "open_until": moment(details.open_until),
            "erase_at": moment(details.erase_at),
            "amount": format_.money(details.amount_minor, details.currency) if details.currency else "",
            "due": format_.day(details.due_on) if details.due_on else "",
            "about": details.about,
            "party": details.party,
            "who": language.one_of("parties", details.party),
            "outcome": language.one_of("outcomes", details.outcome),
            "old_outcome": language.one_of("outcomes", details.old_outcome),
            "state": language.one_of("states", details.state),
            "change": language.one_of("changes", details.change),
            "obstacles": obstacles,
            "Obstacles": _capital(obstacles),  # German continues with a capital letter after a colon
        }

    def _was(
        self, language: Language, content: Content, details: Details, format_: Formatter, venues: Venues
    ) -> Iterator[str]:
        """When and where the session was before a move, as far as the move changed it."""
        longer = details.was_until is not None and details.was_until != content.ends_at
        if (
            details.was_at is not None
            and details.was_until is not None
            and details.was_at == content.starts_at
            and longer
        ):
            yield format_.session(details.was_at, details.was_until, content.time_zone).times
        elif details.was_at is not None and not (details.elsewhere and details.was_at == content.starts_at):
            yield format_.moment(details.was_at, content.time_zone, content.starts_at)
        if details.elsewhere:
            yield self._where(language, content, details.was_venue_id, venues)


def button_of(language: Language, template: str, form: Form) -> str:
    """The text of the button."""
    return _button(language, template, form.rebookable)[1]


def _button(language: Language, template: str, rebookable: bool) -> tuple[str, str]:
    """Where the button leads, and its text. It leads to the session if no other times can be booked any more."""
    if template in LEADS_TO_TIMES and not rebookable:
        return "session", language.word("open_session", {})
    return language.text(template, "link", {}), language.text(template, "button", {})


def _somewhere(content: Content) -> bool:
    """Whether there is a place or a page to name."""
    return content.session_id is not None or content.venue_id is not None


def _detail_rows(language: Language, content: Content, variables: dict[str, Any]) -> list[tuple[str, str]]:
    """The table below the text: the appointment, what is owed, and until when something can be done."""
    rows: list[tuple[str, str]] = []
    details = content.details
    if details is not None and details.currency:
        rows.append((language.word("amount", {}), variables["amount"]))
        if details.due_on is not None:
            rows.append((language.word("due", {}), variables["due"]))
    if content.length_minutes:
        if details is not None and variables["was"]:
            rows.append((language.word("was", {}), variables["was"]))
        rows += [
            (language.word("date", {}), variables["date"]),
            (language.word("times", {}), variables["times"]),
            (language.word("zone", {}), variables["zone"]),
            *([(language.word("where", {}), variables["where"])] if _somewhere(content) else []),
            (language.word("kind", {}), language.word("kind_line", variables)),
            (language.word("with", {}), variables["with_other"]),
        ]
    until = ("confirm_by", "answer_by", "open_until", "erase_at")
    rows += [(language.word(name, {}), variables[name]) for name in until if variables.get(name)]
    if not content.length_minutes and details is not None and (details.confirm_by or details.erase_at):
        rows.append((language.word("zone", {}), variables["zone"]))
    return rows


@lru_cache(maxsize=4096)
def _chat(language: Language, template: str, when: str) -> str:
    """The rendered line. Many sessions start at the same moment, so it is cached."""
    return language.text(template, "chat", {"when": when})


def _when(language: Language, spoken: Spoken) -> str:
    return language.word("when_line", {"date": spoken.date, "times": spoken.times, "zone": spoken.zone})


def _spoken(content: Content, format_: Formatter) -> Spoken:
    return format_.session(content.starts_at, content.ends_at, content.time_zone)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
