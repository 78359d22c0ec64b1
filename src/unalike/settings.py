"""Settings as frozen dataclasses, read from JSON: unknown keys are fatal and all problems come at once."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from unalike.errors import SettingsError


def fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value can stand where the type hint says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(fits(each, arguments[0]) for each in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(each, arguments[1]) for each in value.values())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if dataclasses.is_dataclass(hint):
        return isinstance(value, Mapping)
    return isinstance(value, hint)


def wrong_types(settings: Any) -> list[str]:
    """The entries of a dataclass that are not of the type that it states, in words."""
    hints = typing.get_type_hints(type(settings))
    given = {name: getattr(settings, name) for name in hints}
    return [
        f"{name}={value!r} is not of the type {getattr(hints[name], '__name__', hints[name])}"
        for name, value in given.items()
        if not fits(value, hints[name])
    ]


def read_dataclass(kind: type, content: Mapping[str, Any], what: str) -> Any:
    """A frozen dataclass from JSON values; unknown keys are fatal and all problems come at once.

    Raises:
        SettingsError: the list of problems.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    problems, values = [], {}
    for name in content:
        if name not in fields:
            problems.append(f"{name} is unknown; known are {', '.join(fields)}")
    for name, field_ in fields.items():
        if name not in content:
            if field_.default is dataclasses.MISSING and field_.default_factory is dataclasses.MISSING:
                problems.append(f"{name} is missing")
            continue
        value, hint = content[name], hints[name]
        if not fits(value, hint):
            problems.append(f"{name}={value!r} is not of the type {getattr(hint, '__name__', hint)}")
        elif dataclasses.is_dataclass(hint):
            values[name] = read_dataclass(typing.cast(type, hint), value, f"{what}, {name}")
        elif isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(value, Mapping):
            values[name] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        else:
            values[name] = float(value) if hint is float else value
    if problems:
        raise SettingsError(f"the {what} cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return kind(**values)
