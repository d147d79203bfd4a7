"""Names of people and places, as they go into messages to others.

A name may hold anything that somebody is called by, in any script: also joiners, which Persian, Hindi and emoji need. It may not
steer how the text around it reads (bidi controls), lead anywhere (mail programs make links of addresses), or show nothing.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

import regex
from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS
from pydantic import AfterValidator, StringConstraints

_STEERING: Final = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]")
_UNSEEN: Final = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\u2800]+")
"""U+2800 is the braille pattern without a dot."""
_SEEN: Final = regex.compile(r"[\p{L}\p{N}\p{P}\p{S}]")
_STOPS: Final = regex.compile(r"[\u3002\uff61]")
"""Full stops that browsers read as the dot of an address; normalization turns the others into it."""
_LONGEST_TITLE: Final = 4
"""Letters of the longest title before a dot (`Prof.`, `Dipl.`), which some write without the blank after it."""

_common: Final = LinkifyIt()
_every: Final = LinkifyIt().tlds(TLDS)


def holds_address(text: str) -> bool:
    """Whether a mail program might make a link of something in the text: an address of the web or of a mailbox.

    `M.Sc` and `Dr.No` could be domains as well; a short name with a capital and no path is taken for a title.
    """
    plain = _STOPS.sub(".", unicodedata.normalize("NFKC", text))
    plain = regex.sub(r"\p{Default_Ignorable_Code_Point}", "", plain)
    if "://" in plain or "www." in plain.casefold():
        return True
    return any(_leads_somewhere(found.schema, found.raw) for found in _every.match(plain) or ())


def _leads_somewhere(scheme: str, address: str) -> bool:
    first, _, last = address.partition(".")
    if scheme or "/" in address or "@" in address or len(first) > _LONGEST_TITLE or address == address.casefold():
        return True
    return len(last) > 2 and bool(_common.test(address))


def _readable_name(name: str) -> str:
    if _STEERING.search(name):
        raise ValueError("must not hold control characters, line breaks or marks that turn the direction of text")
    if not _SEEN.search(_UNSEEN.sub("", name)):
        raise ValueError("must hold something to read")
    if holds_address(name):
        raise ValueError("must not hold an address, such as `https://…`, `www.…`, a domain or an e-mail address")
    return name


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(_readable_name),
]
"""What a person or a place is called; 1 to 200 characters."""
