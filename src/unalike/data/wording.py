"""Counts in sentences."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count and what is counted; ``many`` is ``one`` with an s unless given.

    Example:
        >>> counted(1, "event"), counted(1911, "event"), counted(2, "series has", "series have")
        ('1 event', '1,911 events', '2 series have')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
