"""Counts and lists in sentences."""

from collections.abc import Iterable


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count and what is counted; ``many`` is ``one`` with an s unless given.

    Example:
        >>> counted(1, "event"), counted(1911, "event"), counted(2, "series has", "series have")
        ('1 event', '1,911 events', '2 series have')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def few(names: Iterable[str], most: int = 10) -> str:
    """The first names of a list, and how many more there are.

    Example:
        >>> few(["a", "b"]), few([f"t{n}" for n in range(2000)], most=3), few([])
        ('a, b', 't0, t1, t2 and 1,997 more', '(none)')
    """
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "(none)") + more
