"""What can go wrong, one class for each thing a caller may want to catch.

Every message says what was given, what was expected, and what to do about it.
"""

from __future__ import annotations

import re
import sys


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
    """An optional dependency is not installed, too old, or broken; the message names the extra that brings it.

    Raised where an import failed, it looks at that failure: a package that is not there is missing; one that is there
    and lacks what was imported of it is too old, if the extra asks for a later version; of any other the failure is
    told as it is.

    Args:
        what: the package, in words.
        extra: of this package, which brings it.

    Example:
        >>> from unalike.errors import MissingExtra
        >>> print(MissingExtra("timm", "image"))
        timm is not installed. It comes with an extra: pip install 'unalike[image]'
    """

    def __init__(self, what: str, extra: str) -> None:
        failure = sys.exc_info()[1]
        found = _broken(what, failure, extra) if isinstance(failure, ImportError) else None
        if found is None:
            message = f"{what} is not installed. It comes with an extra: pip install 'unalike[{extra}]'"
        else:
            message = f"{found}. What is needed comes with an extra: pip install -U 'unalike[{extra}]'"
        super().__init__(message)
        self.extra = extra


def _broken(what: str, failure: ImportError, extra: str) -> str | None:
    """What is wrong with a package that is there and could not be imported; None if it is not there."""
    from importlib import metadata, util  # they take a while to import, and nearly nobody needs them

    package = (failure.name or "").partition(".")[0]
    halted = package in sys.modules and sys.modules[package] is None
    if isinstance(failure, ModuleNotFoundError) and (halted or util.find_spec(package) is None):
        # A package that this one needs may be the missing one.
        own = _version(what)
        return None if halted or own is None else f"{what} {own} is installed and cannot be imported: {failure}"
    names = metadata.packages_distributions().get(package, [what])
    least = _requirements(extra)
    for name in names:
        own, needed = _version(name), least.get(_plain(name))
        if own is not None and needed is not None and _numbers(own) < _numbers(needed):
            return f"{name} {own} is installed and too old: at least {needed} is needed ({failure})"
    own = _version(names[0])
    return f"{names[0]}{f' {own}' if own else ''} is installed and cannot be imported: {failure}"


def _version(name: str) -> str | None:
    """The version of an installed package, by the name that pip knows."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _requirements(extra: str) -> dict[str, str]:
    """The least versions that an extra of this package asks for, by name."""
    from importlib import metadata

    try:
        lines = metadata.requires("unalike") or []
    except metadata.PackageNotFoundError:  # run from its sources
        return {}
    own = (
        re.match(r"([\w.-]+).*?>=\s*([\w.]+)", line) for line in lines if re.search(f"extra == ['\"]{extra}['\"]", line)
    )
    return {_plain(each[1]): each[2] for each in own if each}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]
