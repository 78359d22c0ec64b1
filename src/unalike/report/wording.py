"""Numbers and other people's texts, fit for a page."""

from __future__ import annotations

import math
import re

# Control characters have no glyph and NUL is no legal HTML; tab and newline stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: object, limit: int = 2000) -> str:
    """A text that UTF-8 can hold, without control characters, of at most ``limit`` characters.

    File names that are no UTF-8 reach Python as lone surrogates, which no page can be encoded with.

    Example:
        >>> clean("caf\\udce9\\x00.png")
        'caf?\ufffd.png'
        >>> clean("a long caption", limit=7)
        'a long…'
    """
    whole = str(text)
    short = whole if len(whole) <= limit else whole[: limit - 1].rstrip() + "…"
    return _CONTROL.sub("\ufffd", short.encode("utf-8", "replace").decode("utf-8"))


def number(value: float) -> str:
    """A number as one reads it: three decimals below ten, whole from a thousand.

    Example:
        >>> number(0.64321), number(12.3456), number(51234.0), number(float("nan")), number(-0.00012)
        ('0.643', '12.3', '51,234', 'not a number', '−0.00012')
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1000 or (size >= 10 and value == int(value)):
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif 0 < size < 0.001:
        text = f"{value:.2g}"
    else:
        text = f"{value:.3f}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share in per cent; small ones keep a digit so that they do not read as nothing.

    Example:
        >>> percent(0.643), percent(0.004), percent(1.0)
        ('64%', '0.4%', '100%')
    """
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count and its noun.

    Example:
        >>> plural(1, "picture"), plural(1911, "picture"), plural(2, "query", "queries")
        ('1 picture', '1,911 pictures', '2 queries')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
