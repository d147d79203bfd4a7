"""Names of people and places, as they appear in messages to others. A name may contain anything that people are called,
in any script, including joiners, which Persian, Hindi and emoji need. It must not change how the text around it reads
(bidi controls), become a link (mail programs make links of addresses), or be invisible.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import regex
from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS

_STEERING: Final = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]")
_UNSEEN: Final = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\u2800]+")
"""U+2800 is the braille pattern without a dot."""
_SEEN: Final = regex.compile(r"[\p{L}\p{N}\p{P}\p{S}]")
_STOPS: Final = regex.compile(r"[\u3002\uff61]")
"""Full stops that browsers read as the dot of an address. Normalization turns the others into it."""
_ADDRESS: Final = regex.compile(
    r"""
    (?<!\d) (?<!\d\.) \d{1,3} (?: \. \d{1,3} ){3} (?! \.?\d)          # an IPv4 address
    | (?! \p{L}+:in(?:nen)?(?:[\s,;)]|$) ) [a-z] [a-z\d+.-]+ : \S         # a scheme (no gender colon, as in `Therapeut:innen`)
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
_UNICODE_DOMAIN: Final = regex.compile(
    r"(?<![\p{L}\p{N}]) (?: [\p{L}\p{N}\p{M}-]+ \. )+ (?: рф | бг | бел | мкд | мон | қаз | срб | укр | ею | рус | москва | сайт"
    r" | онлайн | дети | орг | ком | католик | ελ | ευ | հայ | გე | 中国 | 中國 | 香港 | 台湾 | 台灣 | 新加坡 | 澳门 | 澳門 | 公司 | 网络 | 網絡"
    r" | 网址 | 网站 | 在线 | 商城 | 中文网 | 移动 | 我爱你 | 集团 | 手机 | コム | みんな | ストア | クラウド | 世界 | 한국 | 닷컴 | 닷넷 | 삼성"
    r" | भारत | भारतम् | ভারত | বাংলা | இந்தியா | இலங்கை | சிங்கப்பூர் | భారత్ | ಭಾರತ | ഭാരതം | ਭਾਰਤ | ભારત | ଭାରତ | ලංකා | संगठन | कॉम | नेट"
    r" | ไทย | คอม | ລາວ | ישראל | קום | امارات | السعودية | مصر | قطر | ایران | پاکستان | عراق | عمان | الاردن | المغرب | الجزائر"
    r" | تونس | سورية | سوريا | فلسطين | اليمن | بھارت | شبكة | موقع | بازار | كوم | ابوظبي | همراه )(?![\p{L}\p{N}\p{M}])",
    regex.VERBOSE | regex.IGNORECASE,
)
"""Domains under top-level domains in other scripts (IANA's root zone), none of which the library knows."""
_TITLE: Final = regex.compile(
    r"(?:(?:Dr|Prof|Dipl|Mag|Ing|Lic|St|Ste|Mr|Mrs|Ms|Fr|Sr|Rev|Hr|Priv)\.)+\p{L}+ | [BDM]\.Sc", regex.VERBOSE
)
"""Titles with a dot that some people write without a blank, although what follows may be a top-level domain."""

_common: Final = LinkifyIt()
_every: Final = LinkifyIt().tlds(TLDS)


def holds_address(text: str) -> bool:
    """Whether a mail program might make a link of something in the text: an address of the web or of a mailbox.

    `M.Sc` and `Dr.No` could also be domains. A capitalised title without a path counts as a title.
    """
    plain = _STOPS.sub(".", unicodedata.normalize("NFKC", text))
    plain = regex.sub(r"\p{Default_Ignorable_Code_Point}", "", plain)
    if "://" in plain or "www." in plain.casefold() or _ADDRESS.search(plain) or _UNICODE_DOMAIN.search(plain):
        return True
    return any(_leads_somewhere(found.schema, found.raw) for found in _every.match(plain) or ())


def _leads_somewhere(scheme: str, address: str) -> bool:
    if scheme or not _TITLE.fullmatch(address):
        return True
    return len(address.rpartition(".")[2]) > 2 and bool(_common.test(address))


def readable_name(name: str) -> str:
    """Returns the name unchanged. Raises ValueError, with the reason, if it cannot be shown to others."""
    if _STEERING.search(name):
        raise ValueError("must not contain control characters, line breaks or marks that change the direction of text")
    if not _SEEN.search(_UNSEEN.sub("", name)):
        raise ValueError("must contain at least one visible character")
    if holds_address(name):
        raise ValueError("must not contain an address, such as `https://…`, `www.…`, a domain or an e-mail address")
    return name
