"""Texts with variables, prepared once. Filling in the variables takes a tenth of the time that the template engine needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import Environment, Template, nodes

_VARIABLE: Final = re.compile(r"{{ (\w+) }}")
_CONDITION: Final = re.compile(r"{% (?:(?:if|elif) [^%]+|else|endif) %}")
CONDITIONS: Final = frozenset({"in_person", "rebookable", "forfeits", "tentative", "invited", "about", "party"})
"""What conditions may ask about: yes or no, or a word of a closed list. The answers are kept, so they must tell nothing of a
person.
"""

Line = Callable[[Mapping[str, Any]], str]
"""Fills in the variables of one text."""


def line(text: str, plain: Environment) -> Line:
    """Prepares a text of variables and conditions. Most texts have no conditions, or not even variables."""
    if "{" not in text:
        return lambda _variables: text
    if "{" in _VARIABLE.sub("", _CONDITION.sub("", text)):
        raise ValueError(f"a text may only name variables and have conditions: {text!r}")
    return _conditional(text, plain) if "{%" in text else _filled(text)


def _filled(text: str) -> Line:
    literals = _VARIABLE.split(text)
    names = literals[1::2]
    form = "%s".join(literal.replace("%", "%%") for literal in literals[::2])
    return lambda variables: form % tuple([variables[name] for name in names])


def _conditional(text: str, plain: Environment) -> Line:
    """Prepares the text for each combination of what its conditions ask about, which are few."""
    template = plain.from_string(text)
    asked = sorted({name for condition in plain.parse(text).find_all(nodes.If) for name in _names(condition.test)})
    if not CONDITIONS.issuperset(asked):
        raise ValueError(f"a condition may only ask about {sorted(CONDITIONS)}: {text!r}")
    stay = {name: _slot(name) for name in _VARIABLE.findall(text) if name not in asked}

    @lru_cache(maxsize=64)
    def prepared(*values: Hashable) -> Line:
        return _filled(template.render(stay, **dict(zip(asked, values, strict=True))))

    return lambda variables: prepared(*[variables[name] for name in asked])(variables)


def _names(test: nodes.Node) -> Iterator[str]:
    if isinstance(test, nodes.Name):
        yield test.name
    yield from (name.name for name in test.find_all(nodes.Name))


class Layout:
    """The frame around the texts of an e-mail. It is rendered once for each number of paragraphs, remark's lines and rows."""

    def __init__(self, template: Template, escape: Callable[[str], str] = str) -> None:
        self._template = template
        self._escape = escape
        self._prepared = lru_cache(maxsize=256)(self._prepare)

    def render(
        self,
        words: Mapping[str, str],
        *,
        paragraphs: list[str],
        remark: list[str],
        details: list[tuple[str, str]],
    ) -> str:
        """`words`: the texts that every e-mail has. `details`: label and value of each row; a value may be an address."""
        addresses = tuple([value.startswith(("https://", "http://")) for _, value in details])
        fill = self._prepared(tuple(words), len(paragraphs), len(remark), addresses)
        values = dict(words)
        for name, texts in (
            ("paragraph", paragraphs),
            ("remark", remark),
            ("label", [label for label, _ in details]),
            ("value", [value for _, value in details]),
        ):
            values.update([(f"{name}{place}", text) for place, text in enumerate(texts)])
        return fill({name: self._escape(value) for name, value in values.items()})

    def _prepare(self, words: tuple[str, ...], paragraphs: int, remark: int, addresses: tuple[bool, ...]) -> Line:
        rows = [(_slot(f"label{row}"), _slot(f"value{row}"), is_address) for row, is_address in enumerate(addresses)]
        return _filled(
            self._template.render(
                {name: _slot(name) for name in words},
                paragraphs=[_slot(f"paragraph{place}") for place in range(paragraphs)],
                remark=[_slot(f"remark{place}") for place in range(remark)],
                details=rows,
            )
        )


def _slot(name: str) -> str:
    """What stands for a variable in a prepared text."""
    return f"{{{{ {name} }}}}"
