"""`python -m makegood_notifications.whatsapp.registration ADDRESS`: the templates for WhatsApp to register, one per
line.

Each line is a body for `POST /{version}/{business account id}/message_templates`; ADDRESS is CLIENT_APP_URL. WhatsApp only
sends registered templates, so do this once for an account, and again if texts change.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from makegood_notifications.domain.links import Links
from makegood_notifications.mail.forms import forms, registered_name
from makegood_notifications.mail.wording import Wording, button_of

_VARIABLE: Final = re.compile(r"{{ (\w+) }}")
_LONGEST_BUTTON: Final = 25


def templates(address: str) -> Iterator[dict[str, Any]]:
    """The registrations, by language and template. Only templates that are also e-mails are registered, because those
    have a button.
    """
    for language in Wording(Links(address)).languages:
        for template, parts in language.texts.items():
            if "button" in parts:
                for form in forms(template):
                    source = language.short_source(template, somewhere=form.somewhere)
                    button = button_of(language, template, form)
                    yield _registration(registered_name(template, form), language.code, source, button, address)


def _registration(name: str, language: str, source: str, button: str, address: str) -> dict[str, Any]:
    names = _VARIABLE.findall(source)
    places = iter(range(1, len(names) + 1))
    body: dict[str, Any] = {"type": "BODY", "text": _VARIABLE.sub(lambda _: f"{{{{{next(places)}}}}}", source)}
    if names:
        body["example"] = {"body_text": [[f"({name})" for name in names]]}
    url = {
        "type": "URL",
        "text": button[:_LONGEST_BUTTON],
        "url": f"{address}/{{{{1}}}}",
        "example": [f"{address}/sessions/1"],
    }
    return {
        "name": name,
        "language": language,
        "category": "UTILITY",
        "components": [body, {"type": "BUTTONS", "buttons": [url]}],
    }


def main() -> int:
    if len(sys.argv) != 2 or not sys.argv[1].startswith("http"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    for template in templates(sys.argv[1].rstrip("/")):
        sys.stdout.write(json.dumps(template, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
