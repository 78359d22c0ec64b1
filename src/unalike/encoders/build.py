"""From a short name to an encoder, and from a run's record back to the same one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from unalike.data import Column
from unalike.errors import RunError, SettingsError
from unalike.registry import Registry

from .base import Encoder
from .ensemble import Ensemble
from .hugging_face import TransformersEncoder
from .hugging_face_images import TransformersImageEncoder
from .hugging_face_sound import TransformersSoundEncoder
from .kept import read_tower
from .kinds import KIND_USES
from .seeding import seeded


class RunEncoder(Encoder):
    """Names the encoders of runs, ``run:FOLDER``: what is made is the run's own encoder, with its weights.

    Texts are cut into the tokens that the run learned, and pictures have its size. Nothing in the folder is executed.

    Raises:
        RunError: the folder holds no finished run, or was changed.
        DataError: the run has no encoder for columns of this kind.
    """

    @classmethod
    def for_columns(cls, columns: Sequence[Column], *, given: str, size: int, **options: Any) -> Encoder:  # type: ignore[override]
        return load_tower(Path(given), columns[0].kind)

    @classmethod
    def options(cls) -> set[str]:
        return set()


CHOICES: Registry[str, tuple[str, ...]] = {kind: tuple(use.encoders) for kind, use in KIND_USES.items()}
"""The encoders that can be named, by kind of column; the first serves where none is named."""

_CLASSES: Registry[str, type[Encoder]] = {
    **{
        choice.partition(":")[0]: made
        for use in KIND_USES.values()
        for choice, made in use.encoders.items()
        if made is not None
    },
    # One name for encoders of three kinds; their configurations tell them apart.
    "hf": TransformersEncoder,
    "hf-image": TransformersImageEncoder,
    "hf-audio": TransformersSoundEncoder,
    "run": RunEncoder,  # type: ignore[type-abstract]
    "ensemble": Ensemble,
}

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"drawing": {"fit": "trim", "instance": True}}
"""Settings that come with a name, where it is not the class's only one."""


def encoder_class(spec: str) -> type[Encoder]:
    """The class of an encoder's name.

    Example:
        >>> from unalike.encoders import encoder_class
        >>> encoder_class("timm:resnet18").__name__
        'TimmEncoder'
    """
    return _CLASSES[spec.partition(":")[0]]


def begins_trained(spec: str) -> bool:
    """Whether an encoder of this name begins with weights that were trained elsewhere.

    Example:
        >>> from unalike.encoders import begins_trained
        >>> begins_trained("timm:resnet18"), begins_trained("timm:resnet18@weights.safetensors")
        (False, True)
    """
    name, _, rest = spec.partition(":")
    return name in ("hf", "st", "run") or (name == "timm" and "@" in rest)


def encoder_names(kind: str) -> list[str]:
    """The names by which encoders of a kind of column are chosen, without what follows a colon."""
    return list(dict.fromkeys(choice.partition(":")[0] for choice in CHOICES.get(kind, ())))


def build_encoder(
    spec: str | None,
    columns: Column | Sequence[Column],
    *,
    size: int = 64,
    width: int | None = None,
    seed: int | None = 0,
    **options: Any,
) -> Encoder:
    """An encoder for columns of one kind.

    Args:
        spec: its name, one of `CHOICES`; None takes `default_encoder`.
        columns: what it will be trained on: tokenizers are trained and features standardised on these.
        size: side of the pictures, in pixels.
        width: length of the vectors, for the encoders that leave it open; their own default without it.
        seed: of the initial weights.
        **options: further settings of the encoder's class (`Encoder.options`).

    Raises:
        SettingsError: the name is unknown for this kind, or a setting is.
        MissingExtra: the encoder needs a package that is not installed.

    Example:
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders import build_encoder
        >>> build_encoder("ngram", TextColumn(["red", "blue"]), width=32, buckets=100).width
        32
    """
    given = [columns] if isinstance(columns, Column) else list(columns)
    kinds = {column.kind for column in given}
    if len(kinds) != 1:
        raise SettingsError(f"an encoder reads columns of one kind; given: {', '.join(sorted(kinds)) or 'none'}")
    (kind,) = kinds
    spec = default_encoder(given) if spec is None else spec
    name, _, rest = spec.partition(":")
    known = {choice.partition(":")[0]: ":" in choice for choice in CHOICES.get(kind, ())}
    if name not in known or known[name] != bool(rest):
        choices = ", ".join(CHOICES.get(kind, ())) or "none yet"
        raise SettingsError(f"no encoder {spec!r} reads the kind {kind!r}; choose one of: {choices}")
    if width is not None:
        options |= {"width": width}
    made = _CLASSES.get(f"{name}-{kind}", _CLASSES[name])
    if unknown := sorted(set(options) - made.options()):
        raise SettingsError(
            f"encoder {spec!r} has no setting {', '.join(unknown)}; it has: {', '.join(sorted(made.options()))}"
        )
    return made.for_columns(given, given=rest, size=size, seed=seed, **{**_DEFAULTS.get(name, {}), **options})


def default_encoder(columns: Sequence[Column], size: int | None = None) -> str:
    """The name of the encoder that suits columns of one kind: for texts it depends on how long they are.

    Args:
        columns: of one kind.
        size: side of the pictures in pixels, where small ones may get another encoder.

    Example:
        >>> from unalike.data import TextColumn
        >>> from unalike.encoders import default_encoder
        >>> default_encoder([TextColumn(["red bicycle"])])
        'ngram'
    """
    kind = columns[0].kind
    if not CHOICES.get(kind):
        known = ", ".join(each for each, names in CHOICES.items() if names)
        raise SettingsError(f"no encoder reads the kind {kind!r}; there are encoders for: {known}")
    choose = KIND_USES[kind].default
    return CHOICES[kind][0] if choose is None else choose(columns, size)


def restore_encoder(config: Mapping[str, Any], assets: Mapping[str, bytes]) -> Encoder:
    """An encoder of the shape that `Encoder.config` and `Encoder.assets` told; its weights are yet to be loaded.

    Raises:
        RunError: the record names no known encoder, or does not fit it.

    Example:
        >>> from unalike.encoders import ConvNet, restore_encoder
        >>> encoder = ConvNet(size=32, widths=(8, 16), depths=(0, 0))
        >>> restored = restore_encoder(encoder.config(), encoder.assets())
        >>> _ = restored.load_state_dict(encoder.state_dict())
    """
    settings = dict(config)
    name = settings.pop("name", None)
    if name not in _CLASSES:
        raise RunError(f"the run names an encoder {name!r}; this version knows: {', '.join(_CLASSES)}")
    try:
        with seeded(0):
            if name == "ensemble":
                return Ensemble.of_records(settings, assets, restore=restore_encoder)
            return _CLASSES[name].restore(settings, assets)
    except (TypeError, KeyError, ValueError, SettingsError) as error:
        raise RunError(f"the record of the encoder {name!r} does not fit this version: {error}") from error


def load_tower(folder: Path, kind: str) -> Encoder:
    """The encoder of one kind that a run has trained.

    Args:
        folder: a run directory, or what `save_tower` wrote.
        kind: of the columns that it reads.

    Raises:
        RunError: the folder holds no finished run, or a file of it was changed.
        DataError: the run has no encoder of this kind.

    Example:
        >>> from unalike.encoders import NgramEncoder, load_tower, save_tower
        >>> save_tower(tmp / "kept", NgramEncoder(buckets=100, width=8))
        >>> load_tower(tmp / "kept", "text").width
        8
    """
    return read_tower(folder, kind, restore=restore_encoder)


def fresh_encoder(encoder: Encoder, seed: int | None = None) -> Encoder:
    """Another encoder of the same shape, with initial weights of its own.

    What an encoder did not draw stays as it is: a tokenizer, the statistics by which it standardises, and weights that
    were trained elsewhere.

    Args:
        encoder: is not changed.
        seed: of the initial weights; None draws from torch's current random state.

    Example:
        >>> import torch
        >>> from unalike.encoders import ConvNet, fresh_encoder
        >>> encoder = ConvNet(size=16, widths=(4, 8), depths=(0, 0))
        >>> other = fresh_encoder(encoder, seed=1)
        >>> other.config() == encoder.config()
        True
        >>> torch.equal(next(other.parameters()), next(encoder.parameters()))
        False
    """
    if isinstance(encoder, Ensemble):
        with seeded(seed):
            return Ensemble([fresh_encoder(tower) for tower in encoder.members])
    other = copy.deepcopy(encoder)
    if encoder.pretrained or "seed" not in inspect.signature(type(encoder)).parameters:
        return other
    drawn = int(torch.randint(2**31 - 1, ())) if seed is None else seed
    made = restore_encoder({**encoder.config(), "seed": drawn}, encoder.assets())
    with torch.no_grad():
        for old, new in zip(other.parameters(), made.parameters(), strict=True):
            old.copy_(new)
    return other
