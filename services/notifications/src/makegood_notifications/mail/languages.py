"""Words of messages: one folder of templates per language."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from makegood_notifications.mail.filling import Layout, line

FOLDER: Final = Path(__file__).parent.parent / "templates"
LISTS: Final = ("modalities", "outcomes", "parties", "states", "changes", "lengths", "obstacles")


class Language:
    """The templates of one folder, compiled once."""

    def __init__(self, code: str, plain: Environment) -> None:
        self.code = code
        source = tomllib.loads((FOLDER / code / "messages.toml").read_text(encoding="utf-8"))
        words = source.pop("words")
        self.lists: dict[str, dict[str, str]] = {name: words.pop(name) for name in LISTS}
        self.words = {name: line(text, plain) for name, text in words.items()}
        self.paragraphs = {
            template: [line(text, plain) for text in parts.pop("paragraphs", ())] for template, parts in source.items()
        }
        self._short: dict[str, str] = {
            template: parts.get("short") or parts.get("chat", "") for template, parts in source.items()
        }
        self._where = f"\n{words['where']}: {{{{ where }}}}"
        self._sign_off = f"\n{words['sign_off']}"
        self.texts = {
            template: {name: line(text, plain) for name, text in parts.items()} for template, parts in source.items()
        }

    def short_source(self, template: str, *, somewhere: bool = True) -> str:
        """The text to register, which must not begin or end with a variable. `somewhere`: with the line that says where
        the session takes place.
        """
        short = self._short[template]
        if somewhere and "{{ when }}" in short:
            short += self._where
        return short + (self._sign_off if re.search(r"}}\W*$", short) else "")

    def word(self, name: str, variables: dict[str, Any]) -> str:
        return self.words[name](variables)

    def text(self, template: str, name: str, variables: dict[str, Any]) -> str:
        return self.texts[template][name](variables)

    def one_of(self, name: str, value: str) -> str:
        """The word for a value of a closed list, such as a modality."""
        return self.lists[name].get(value, value)


@cache
def templates() -> tuple[Layout, Layout, dict[str, Language]]:
    """The two layouts of e-mails, and the languages by code. A process compiles them once, which takes half a second."""
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
    languages = {folder.parent.name: Language(folder.parent.name, plain) for folder in FOLDER.glob("*/messages.toml")}
    return (
        Layout(html.get_template("layout.html.j2"), html.filters["escape"]),
        Layout(text.get_template("layout.txt.j2")),
        languages,
    )
