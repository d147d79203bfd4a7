"""Texts that were prepared once say what the template engine would say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined, meta
from makegood_notifications.mail.filling import CONDITIONS, Layout, line
from makegood_notifications.mail.languages import FOLDER

PLAIN: Final = Environment(undefined=StrictUndefined, autoescape=False)
ODD: Final = ("{{ heading }} 100 % %s {% if", '<b>&"it\'s"</b>', "")
"""What people may write, and templates must not read."""


def texts(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for one in found.values():
            yield from texts(one)
    else:
        for one in found:
            yield from texts(one)


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_text_reads_as_the_template_engine_writes_it(language: str) -> None:
    all_texts = list(texts(tomllib.loads((FOLDER / language / "messages.toml").read_text(encoding="utf-8"))))
    assert sum("{%" in text for text in all_texts) > 10
    for text in all_texts:
        prepared = line(text, PLAIN)
        for yes, party, about, value in product((True, False), ("member", "system"), ("extension", ""), ODD):
            answers = {**dict.fromkeys(CONDITIONS, yes), "party": party, "about": about}
            variables = {**dict.fromkeys(meta.find_undeclared_variables(PLAIN.parse(text)), value), **answers}
            assert prepared(variables) == PLAIN.from_string(text).render(variables), text


@pytest.mark.parametrize(
    "text", ["{{ name | upper }}", "{{ 'a' if name else 'b' }}", "{% for one in name %}x{% endfor %}"]
)
def test_a_text_with_more_than_variables_and_conditions_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="may only name variables"):
        line(text, PLAIN)


def test_a_condition_must_not_ask_about_what_tells_something_of_a_person() -> None:
    with pytest.raises(ValueError, match="may only ask about"):
        line("{% if provider %}with {{ provider }}{% endif %}", PLAIN)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("paragraphs", "remark", "values"),
    [(1, 0, ["9:00"]), (3, 2, ["https://app.example.org/?a=1&b=2", "9:00"]), (0, 1, [])],
)
def test_a_layout_reads_as_the_template_engine_writes_it(
    odd: str, paragraphs: int, remark: int, values: list[str]
) -> None:
    names = "language subject preview greeting heading remark_by button link sign_off footer"
    words = {name: f"{name} {odd}" for name in names.split()}
    lists: dict[str, Any] = {"paragraphs": [odd] * paragraphs, "remark": [odd] * remark}
    details = [(odd, value + odd) for value in values]
    rows = [(label, value, value.startswith("https://")) for label, value in details]
    for kind, markup in (("html", True), ("txt", False)):
        environment = Environment(
            undefined=StrictUndefined,
            autoescape=markup,
            loader=FileSystemLoader(FOLDER),
            keep_trailing_newline=not markup,
        )
        template = environment.get_template(f"layout.{kind}.j2")
        layout = Layout(template, environment.filters["escape"] if markup else str)
        for _ in range(2):  # the second time it is prepared
            assert layout.render(words, details=details, **lists) == template.render(words, details=rows, **lists)
