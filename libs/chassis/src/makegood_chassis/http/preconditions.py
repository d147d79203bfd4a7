"""The headers `If-Match` and `If-None-Match` (RFC 9110 §13.1), and `Prefer` (RFC 7240)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from makegood_chassis.http.problems import Problem, invalid

_TAGS = re.compile(r'\s*(?:(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(?:,\s*|$))+')
_TAG = re.compile(r'(W/)?"([^"]*)"')
_PREFERENCE = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')
_ONLY_WAIT = re.compile(r"wait=([0-9]{1,9})")
_LONGEST_WAIT = 3600


def etag(version: int, shown: bytes | None = None) -> str:
    """The strong entity tag of a version. `shown`: the answer's body, if it can change with the time or the reader
    while the version stays.
    """
    if shown is None:
        return f'"{version}"'
    return f'"{version}-{hashlib.blake2s(shown, digest_size=6).hexdigest()}"'


def not_modified(sent: bytes | None, tag: bytes) -> bool:
    """Whether `If-None-Match` names the entity tag, compared weakly: a proxy that compresses makes a tag weak (RFC 9110
    §13.1.2).

    A malformed header is ignored, so the whole answer is sent.
    """
    if sent is None:
        return False
    value = sent.decode("latin-1").strip()
    if value == "*":
        return True
    return bool(_TAGS.fullmatch(value)) and tag.decode("latin-1").strip('"') in (
        name for _, name in _TAG.findall(value)
    )


def check_version(sent: Sequence[str], version: int, *, required: bool = False) -> None:
    """Compares `If-Match` (all its header lines) with the entity's version, strongly.

    Raises 412 `version-mismatch`, 428 `version-required` if it is required and missing, and 422 if it is malformed.
    """
    if not sent:
        if required:
            raise Problem("version-required")
        return
    value = well_formed(sent)
    if value == "*":
        return
    if not any(not weak and tag.partition("-")[0] == str(version) for weak, tag in _TAG.findall(value)):
        raise Problem("version-mismatch", headers={"ETag": etag(version)})


def well_formed(sent: Sequence[str]) -> str:
    """The value of `If-Match` (all its header lines). Raises 422 if it is malformed."""
    value = ", ".join(sent).strip()
    if value != "*" and not _TAGS.fullmatch(value):
        raise invalid("#/if-match", 'Send the ETag unchanged, with its quotation marks: `"3"`.', where="header")
    return value


def preferences(sent: Sequence[str]) -> dict[str, str]:
    """The preferences of all `Prefer` headers by lower-case name. If one is given twice, the first counts."""
    found: dict[str, str] = {}
    for line in sent:
        for part in _outside_quotes(line, ","):
            match = _PREFERENCE.match(_outside_quotes(part, ";")[0].strip())
            if match:
                quoted, plain = match[2], match[3]
                found.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain or "")
    return found


def wait_seconds(sent: Sequence[str]) -> int | None:
    """`N` of `Prefer: wait=N`, whole seconds. None if it is not given, or malformed and therefore ignored."""
    if not sent:
        return None
    usual = _ONLY_WAIT.fullmatch(sent[0])  # spares the hot path the parsing
    value = usual[1] if usual else preferences(sent).get("wait", "")
    return min(int(value), _LONGEST_WAIT) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _outside_quotes(text: str, separator: str) -> list[str]:
    """Splits at separators that are not in a quoted string."""
    parts, start, quoted, escaped = [], 0, False, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
