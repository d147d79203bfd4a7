"""Both languages say everything, with the same variables."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from makegood_notifications.domain.announcements import Template
from makegood_notifications.domain.deliveries import LEADS_TO_TIMES
from makegood_notifications.domain.links import PATHS, Links
from makegood_notifications.domain.notices import Content, Details
from makegood_notifications.mail.languages import FOLDER
from makegood_notifications.mail.wording import Wording

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
MORE = Details(
    was_at=START - timedelta(days=1), was_until=START, confirm_by=START, answer_by=START, open_until=START, entry_id="e", amount_minor=123456, currency="EUR",
    due_on=date(2026, 12, 1), about="extension", party="member", outcome="completed", old_outcome="provider_missed",
    state="returned", change="moved", erase_at=START, obstacles="coverage-ended outstanding-charges",
)  # fmt: skip
FACTS = Content(
    "s", "r", "m", "p", START, START + timedelta(minutes=45), 45, "in_person", "Europe/Berlin", details=MORE
)
SOURCES: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text()) for path in FOLDER.glob("*/messages.toml")
}
TEMPLATES = get_args(Template)
OTHERS = sorted(SOURCES.keys() - {"en"})


def variables(text: Any) -> set[str]:
    return set(re.findall(r"{{ (\w+) }}|{% if (\w+)", str(text)))


@pytest.mark.rule("NOTE-1", "BOOK-2")
@pytest.mark.parametrize("locale", ["en-12", "en_US_GB", "de-12345678", "DE-x1-y2-z3", "en-ZZ", "tlh-Latn"])
@pytest.mark.parametrize("template", ["provider-missed", "session-confirmed"])
def test_a_locale_that_nobody_knows_is_answered_as_its_language_is(locale: str, template: str) -> None:
    """A contact may hold it, so it must neither keep the person from being told nor stop the handler of the event."""
    wording = Wording(Links("https://app.test"))
    facts = Content("s", "r", "m", "p", START, START + timedelta(minutes=45), 45, "video", "Europe/Berlin")
    language = wording.language(locale).code
    mail = wording.email(template, facts, name="Ada", other="Grace", locale=locale)
    assert mail == wording.email(template, facts, name="Ada", other="Grace", locale=language)
    assert wording.chat(template, facts, locale) == wording.chat(template, facts, language)


@pytest.mark.rule("NOTE-1")
def test_there_are_two_languages() -> None:
    assert OTHERS == ["de"]


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_same_templates_lines_and_variables_as_english(language: str) -> None:
    english, other = SOURCES["en"], SOURCES[language]
    assert english.keys() == other.keys() == {*TEMPLATES, "words"}
    for template in TEMPLATES:
        assert english[template].keys() == other[template].keys(), template
        for name, line in english[template].items():
            allowed = {("Provider", ""), ("provider", ""), ("Member", ""), ("member", ""),
                       ("with_provider", ""), ("with_member", ""), ("obstacles", ""), ("Obstacles", "")}  # fmt: skip
            theirs = other[template][name]
            assert variables(line) - allowed == variables(theirs) - allowed, (template, name)
            words = re.sub(r"{{.*?}}|\W", "", str(line))
            assert name == "link" or not words or line != theirs, (template, name, "not translated")
    words, others = english["words"], other["words"]
    assert words.keys() == others.keys()
    for name, line in words.items():
        if isinstance(line, dict):
            assert line.keys() == others[name].keys()
        else:
            assert variables(line) == variables(others[name]), name


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("language", sorted(SOURCES))
def test_the_messages_that_lead_to_other_times_are_those_that_ask_whether_there_are_any(language: str) -> None:
    lines = SOURCES[language]
    assert {one for one in TEMPLATES if lines[one].get("link") == "rebook"} == set(LEADS_TO_TIMES)


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("language", sorted(SOURCES))
def test_every_message_is_whole(language: str) -> None:
    """An e-mail has all its lines, a chat message its one, and whatever goes by WhatsApp can be registered."""
    for template in TEMPLATES:
        lines = SOURCES[language][template]
        assert lines.keys() in (
            {"chat"},
            {"subject", "preview", "heading", "paragraphs", "button", "link", "chat"},
            {"subject", "preview", "heading", "paragraphs", "button", "link", "short"},
        )
        assert "{" not in lines.get("subject", "")  # subjects are listed, so they hold nothing of a person
        assert lines.get("link", "session") in PATHS
        assert "{%" not in lines.get("short", "") + lines.get("chat", "")
        assert len(lines.get("button", "")) <= 25
        assert not variables(lines.get("chat", "")) & {("provider", ""), ("member", ""), ("name", "")}


@pytest.mark.rule("NOTE-1", "JOIN-3")
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("language", sorted(SOURCES))
def test_nobody_is_told_to_join_a_session_in_person(language: str, template: str) -> None:
    wording, lines = Wording(Links("https://app")), SOURCES[language][template]
    said = [wording.chat(template, FACTS, language)] if "chat" in lines else []
    for to in ("member", "provider") if "subject" in lines else ():
        said.append(wording.email(template, FACTS, name="Ada", other="Grace", locale=language, to=to).text)
        said.append(wording.short(template, FACTS, other="Grace", locale=language, to=to).text)
    assert not any(re.search(r"\bjoin|beitret|beigetret", text, re.IGNORECASE) for text in said)


@pytest.mark.rule("NOTE-1", "JOIN-1", "JOIN-3")
@pytest.mark.parametrize("template", ["session-confirmed", "reminder"])
@pytest.mark.parametrize(
    ("language", "in_person", "by_link"),
    [
        ("en-GB", "check in with the code", "You can join shortly before the start."),
        ("de-AT", "melde dich mit dem Code an", "Kurz vor Beginn kannst du beitreten."),
    ],
)
def test_the_member_is_told_how_to_come_in(template: str, language: str, in_person: str, by_link: str) -> None:
    for facts, how, other in (
        (FACTS, in_person, by_link),
        (replace(FACTS, modality="video"), by_link, in_person),
    ):
        text = Wording(Links("https://app")).email(template, facts, name="Ada", other="Grace", locale=language).text
        assert how in text
        assert other not in text


@pytest.mark.parametrize(
    ("language", "why"),
    [
        ("en", "You are receiving this e-mail because this address was entered on Makegood."),
        ("de", "Du bekommst diese E-Mail, weil diese Adresse bei Makegood eingetragen wurde."),
    ],
)
def test_a_mail_about_no_session_tells_a_stranger_the_truth(language: str, why: str) -> None:
    """An address that is not confirmed yet may be somebody else's."""
    facts = Content(None, "", "m", "", START, START, 0, "", "Europe/Berlin", details=MORE)
    mail = Wording(Links("https://app")).email("address-confirm", facts, name="Ada", other="", locale=language)
    assert mail.text.rstrip().splitlines()[-1] == why
    assert why in mail.html


@pytest.mark.rule("CONF-1", "MISS-3")
def test_the_two_subjects_that_are_fixed() -> None:
    wording = Wording(Links("https://app"))
    assert wording.subject("session-confirmed", "en-GB") == "Your session is confirmed! Mark your calendar."
    assert wording.subject("provider-missed", "en") == "Your provider missed your scheduled session."


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("language", sorted(SOURCES))
def test_every_message_renders_for_both_parties(language: str, template: str) -> None:
    wording = Wording(Links("https://app"))
    lines = SOURCES[language][template]
    if "chat" in lines:
        assert "{" not in wording.chat(template, FACTS, language)
    if "subject" in lines:
        for to in ("member", "provider"):
            mail = wording.email(template, FACTS, name="Ada", other="Grace", locale=language, to=to)
            assert f'lang="{language}"' in mail.html
            assert "{{" not in mail.text
            assert "Grace" in mail.text
            short = wording.short(template, FACTS, other="Grace", locale=language, to=to)
            assert all(short.parameters)
            assert wording.in_app(template, FACTS, other="", locale=language, to=to).title


@pytest.mark.rule("NOTE-1")
@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Tuesday, November 24, 2026", "4:00\u00a0PM – 4:45\u00a0PM", "€1,234.56", "December 1, 2026"]),
        ("en-GB", ["Tuesday, 24 November 2026", "16:00 – 16:45"]),
        ("de", ["Dienstag, 24. November 2026", "16:00 – 16:45", "1.234,56\u00a0€", "1. Dezember 2026"]),
    ],
)
def test_dates_times_and_amounts_are_written_as_in_the_language(language: str, expected: list[str]) -> None:
    mail = Wording(Links("https://app")).email("invoice-issued", FACTS, name="", other="", locale=language)
    for text in expected:
        assert text in mail.text
