"""Which partition a key belongs to: the Java client's default partitioner, so that any producer agrees."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final

_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_words: Final = [Struct(f"<{count}I") for count in range(33)]


@lru_cache(maxsize=1 << 15)
def partition_hash(key: str) -> int:
    """`murmur2(key) & 0x7fffffff`. aiokafka's own works byte by byte and costs the relay a third of its time."""
    data = key.encode()
    length = len(data)
    whole = length >> 2
    words = (_words[whole] if whole < 33 else Struct(f"<{whole}I")).unpack_from(data)
    h = 0x9747B28C ^ length
    for k in words:
        k = k * _M & _MASK
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    rest = data[whole << 2 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return (h ^ h >> 15) & 0x7FFFFFFF
