"""What a run was asked to do: written to ``run.json`` whole, and read back for a resume."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from unalike.data.gathering import Source
from unalike.errors import SettingsError
from unalike.settings import read_dataclass
from unalike.training.settings import Training

Views = Literal["paper", "simclr", "moco_v2", "gentle", "plain"]

Wanted = Mapping[str, str | Mapping[str, Any]]
"""By kind which encoder is wanted: its name, or its settings with or without a ``name`` among them."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Everything that decides a run.

    Args:
        source: the data.
        system: slug of the system.
        settings: the system's own settings, resolved.
        training: resolved training settings.
        encoder: by kind, which encoder: ``{"image": "conv", "text": "ngram"}``.
        size: side of pictures in pixels.
        views: which picture views; ``paper`` takes the system's.
        roles: by kind, the roles that are trained on.
        unseen: roles that are kept out of training and only tested on.
        holdout: share of the rows that is kept out of training where the data bring no splits.
        freeze: the kinds whose encoders keep their weights.
        encoder_settings: by kind the settings of the encoder, where any were given: ``{"text": {"max_tokens": 64}}``.
        text_sides: by role of texts the side of a search on which they stand, ``"query"`` or ``"document"``: models
            with prompts read the two differently. Empty where all texts are read alike.
    """

    source: Source
    system: str
    settings: Mapping[str, Any]
    training: Training
    encoder: Mapping[str, str]
    size: int
    views: Views
    roles: Mapping[str, tuple[str, ...]]
    unseen: tuple[str, ...] = ()
    holdout: float = 0.1
    freeze: tuple[str, ...] = ()
    encoder_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    text_sides: Mapping[str, Literal["query", "document"]] = field(default_factory=dict)

    @property
    def encoders(self) -> dict[str, dict[str, Any]]:
        """By kind the encoder's name and its settings, as `plan` takes them."""
        return {kind: {"name": name, **self.encoder_settings.get(kind, {})} for kind, name in self.encoder.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Spec:
        """Inverse of `to_json`.

        Raises:
            SettingsError: unknown or missing entries, or entries of the wrong type; all are listed.
        """
        return read_dataclass(cls, content, "settings of the run")


def read_encoders(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By kind the encoders that words such as ``text=hf:FOLDER,max_tokens=64`` ask for, with their settings.

    A value that is JSON is read as such; any other is a string. The name may be left out: ``text=,max_tokens=64``.

    Raises:
        SettingsError: a word is of another form, or a kind is named twice.

    Example:
        >>> from unalike.runs.spec import read_encoders
        >>> read_encoders(["audio=mel,seconds=2.5", "series=affine"])
        {'audio': {'name': 'mel', 'seconds': 2.5}, 'series': {'name': 'affine'}}
    """
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        kind, equals, rest = word.partition("=")
        # A comma in a folder's name ends nothing: only one before SETTING= does.
        name, *settings = re.split(r",(?=[a-z_]+=)", rest)
        if not kind or not equals or not rest:
            raise SettingsError(
                f"--encoder {word}: expected KIND=NAME, or KIND=NAME,SETTING=VALUE, such as audio=mel,seconds=2"
            )
        if kind in found:
            raise SettingsError(f"--encoder names the kind {kind!r} twice: give it once, with all its settings")
        found[kind] = {"name": name} if name else {}
        for setting in settings:
            key, _, value = setting.partition("=")
            found[kind][key] = _value(value)
    return found


def encoder_words(kind: str, wanted: Mapping[str, Any]) -> str:
    """The words from which `read_encoders` reads an encoder.

    Example:
        >>> from unalike.runs.spec import encoder_words
        >>> encoder_words("audio", {"name": "mel", "seconds": 2.5})
        'audio=mel,seconds=2.5'
    """
    settings = {name: value for name, value in wanted.items() if name != "name"}
    told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return ",".join([f"{kind}={wanted.get('name', '')}", *(f"{name}={value}" for name, value in told.items())])


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word
