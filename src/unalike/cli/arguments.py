"""The arguments of a command: what they have in common, and how they are read."""

from __future__ import annotations

import abc
import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from unalike.data.roles import kind_of
from unalike.errors import SettingsError
from unalike.records import Kind, Recipe
from unalike.training.settings import Training

GRAPHS = ("nodes", "edges", "features")
"""What tells a graph: the file of its nodes or of its edges, and the roles that describe a node."""

EVENTS = ("user", "item", "time", "items")
"""What tells a table of events: its columns of users, items and times, and a file with the names of the items."""


def told(*, metavar: str) -> Any:
    """An option as its help shows it: with its default, unless that is to be left out."""

    def default(value: str) -> str:
        return "" if value in ("None", "") else f"(default: {value})"

    return arg(metavar=metavar, help_behavior_hint=default)


class Command(abc.ABC):
    """A command: a frozen dataclass of its arguments that executes itself.

    Its file under ``unalike/cli`` has the command's name, and the class that name with a capital. Fields and docstring
    are what ``--help`` shows; the docstring's first clause stands in the list of all commands. A file imports nothing
    at its top that imports torch.
    """

    takes_settings_of: ClassVar[tuple[str, Kind] | None] = None
    """The flag that names a system whose settings can be given too, and the kind of that system."""

    @abc.abstractmethod
    def execute(self, roles: Mapping[str, str]) -> None:
        """Do it and print the outcome.

        Args:
            roles: role to column name, as ``--image COLUMN`` and the like gave them.

        Raises:
            UnalikeError: it cannot be done; the message is for the user.
        """


@dataclass(frozen=True)
class Columns:
    """Which column of a table has which role: --KIND COLUMN or --KIND:VARIANT COLUMN, such as --image COLUMN, or
    both --text:en COLUMN and --text:de COLUMN. The kinds are image, text, audio, video, series (time series),
    array (numbers), tags, and labels (any number per row). A number to predict is --target COLUMN. A table of events,
    one per row, takes --user COLUMN, --item COLUMN and --time COLUMN, and optionally --items FILE with the items'
    names. A graph is a table of edges with --nodes FILE, or a table of nodes with --edges FILE or --edges knn:3.
    """

    label: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with each row's class."""
    group: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column of groups; a group is never divided between training and test rows."""
    id: Annotated[str | None, told(metavar="COLUMN")] = None
    """Column with each row's id."""
    encoding: Annotated[str | None, told(metavar="NAME")] = None
    """Encoding of text files (default: UTF-8)."""
    tolerance: float = 0.01
    """Share of items that may be unreadable; these are skipped and listed."""


def parse(command: type[Command], name: str, words: Sequence[str]) -> tuple[Command, dict[str, str]]:
    """Read the words after a command's name: its arguments, and the roles of columns.

    Raises:
        SettingsError: a role lacks its column, or there is no such system.
        SystemExit: ``--help`` was asked for, or the arguments cannot be read; tyro has said so.
    """
    rest, roles = take_roles(words)
    kind: Any = with_settings(command, rest)
    return tyro.cli(kind, prog=f"unalike {name}", args=rest, config=(FlagCreatePairsOff,)), roles


def take_roles(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take ``--image COLUMN``, ``--text:de COLUMN`` and ``--target COLUMN`` out of the arguments.

    Raises:
        SettingsError: the column's name is missing.

    Example:
        >>> take_roles(["pairs.csv", "--image", "path", "--system", "clip"])
        (['pairs.csv', '--system', 'clip'], {'image': 'path'})
    """
    rest, roles = [], {}
    words = iter(arguments)
    for word in words:
        name, _, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and names_a_role(name):
            column = value or next(words, "")
            if not column or column.startswith("--"):
                files = ("items", "nodes", "edges")
                raise SettingsError(f"--{name} needs the name of a {'file' if name in files else 'column'}")
            roles["array:target" if name == "target" else name] = column
        else:
            rest.append(word)
    return rest, roles


def names_a_role(name: str) -> bool:
    """Whether ``--NAME COLUMN`` and ``--NAME:VARIANT COLUMN`` give a column, or a file, its role."""
    if name in ("target", *EVENTS, *GRAPHS):
        return True
    from unalike.data.kinds import KINDS  # brings Arrow, which a command without columns does well without

    record = KINDS.get(kind_of(name))
    return record is not None and record.flag


def with_settings(command: type[Command], arguments: Sequence[str]) -> type[Command]:
    """The command with the settings of the system that the arguments name, so that they can be given and are shown."""
    if command.takes_settings_of is None:
        return command
    flag, kind = command.takes_settings_of
    slug = None
    for position, word in enumerate(arguments):
        if word == flag and position + 1 < len(arguments):
            slug = arguments[position + 1]
        elif word.startswith(f"{flag}="):
            slug = word.partition("=")[2]
    shown: dict[str, type] = {}
    recipe = None
    if slug is not None:
        from unalike import systems

        found = systems.find(slug, kind=kind)
        shown["settings"], recipe = found.settings, found.recipe
    if any(each.name == "training" for each in dataclasses.fields(command)):  # type: ignore[arg-type]
        shown["training"] = training_told(recipe)
    if not shown:
        return command
    extra: list[Any] = [(name, OmitArgPrefixes[each], field(default_factory=each)) for name, each in shown.items()]  # type: ignore
    named = dataclasses.make_dataclass(f"{command.__name__}System", extra, bases=(command,), frozen=True)
    named.__doc__ = command.__doc__
    return named


def training_told(recipe: Recipe | None) -> type[Training]:
    """The settings of a training with what a system's recipe fills in as their defaults in the help."""
    hints = typing.get_type_hints(Training)
    filled: list[Any] = []
    for each in dataclasses.fields(Training):
        if each.default is not None:
            continue
        kind = next(part for part in typing.get_args(hints[each.name]) if part is not type(None))
        choices = [str(choice) for choice in typing.get_args(kind)]
        value = getattr(recipe, each.name, None)
        by_recipe = each.name in {known.name for known in dataclasses.fields(Recipe)}
        shown = "(default: the recipe's)" if recipe is None else f"(default: {value})"
        option = arg(
            metavar="{" + ",".join(choices) + "}" if choices else kind.__name__.upper(),
            help_behavior_hint=shown if by_recipe else "",
        )
        filled.append((each.name, Annotated[hints[each.name], option], field(default=None)))
    told = dataclasses.make_dataclass(Training.__name__, filled, bases=(Training,), frozen=True, kw_only=True)
    told.__doc__ = "Training settings; the defaults are the system's recipe (unalike systems SLUG)."
    return told


def own_settings(arguments: Command) -> dict[str, Any] | None:
    """The system's own settings, where a system was named."""
    given: Any = vars(arguments).get("settings")
    return None if given is None else dataclasses.asdict(given)
