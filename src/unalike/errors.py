"""What can go wrong, one class for each thing a caller may want to catch.

Every message says what was given, what was expected, and what to do about it.
"""

from __future__ import annotations


class UnalikeError(Exception):
    """Base of every error that this package raises on purpose."""


class DataError(UnalikeError):
    """The data cannot be used as they are: missing, unreadable, inconsistent or too few."""


class SettingsError(UnalikeError):
    """One or more settings are unknown or out of range. All problems are listed at once."""


class RunError(UnalikeError):
    """A run directory is not one, is damaged, or was written by a newer version."""


class TrainingError(UnalikeError):
    """Training cannot go on: a loss that is not finite, a batch larger than the data."""


class MissingExtra(UnalikeError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed. It comes with an extra: pip install 'unalike[{extra}]'")
        self.extra = extra
