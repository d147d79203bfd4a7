"""Realistic names: scripts with joiners, emoji, and every character that formats must escape."""

from __future__ import annotations

from hypothesis import strategies as st

_WORDS = (
    "Ada", "O'Brien", "O’Neill", "D’Angelo", "Jörg", "Nguyễn", "Smith-Jones", "علی‌رضا", "می‌خواهم", "محمد", "عبد الله", "क्‍ष",
    "श्रीमती", "ශ්‍රී", "ക്‍", "김철수", "山田", "שָׁלוֹם", "👩‍👩‍👧‍👦", "🧑🏽‍⚕️", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
)  # fmt: skip
_MARKS = (
    " ",
    "-",
    "'",
    ", ",
    "; ",
    " \\ ",
    ' "',
    '" ',
    ": ",
    " ^ ",
    " & ",
    " <b> ",
    " = ",
    " (",
    ") ",
    "\\n",
    " \\N ",
    "%0D%0A ",
)


@st.composite
def real_names(draw: st.DrawFn) -> str:
    """One to five words with a separator between each two, at most 200 characters, without blanks at the ends."""
    first, *others = draw(st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5))
    name = first + "".join(draw(st.sampled_from(_MARKS)) + word for word in others)
    return name[:200].strip()
