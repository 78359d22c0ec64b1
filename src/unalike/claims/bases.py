"""Encoders that are trained once, for every claim that starts from the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from unalike import encoders, training
from unalike.data import Collection, TextColumn
from unalike.encoders import Encoder
from unalike.records import SharedStart


def train_base(start: SharedStart, found: Any, texts: Sequence[str]) -> Encoder:
    """The encoder of a shared start, trained on texts.

    Args:
        start: says how it is trained.
        found: the system that trains it (a record with ``settings``, ``recipe`` and ``build``).
        texts: what it learns from.

    Example:
        >>> from unalike import systems
        >>> from unalike.claims import train_base
        >>> from unalike.records import SharedStart
        >>> start = SharedStart(
        ...     system="bert", sets=(), corpus=list, training={"steps": 2, "batch_size": 4},
        ...     encoder={"name": "transformer", "vocabulary": 300, "width": 16, "depth": 1, "heads": 2},
        ... )
        >>> train_base(start, systems.find("bert"), ["a red bicycle", "a blue car"] * 8).width
        16
    """
    column, kind = TextColumn(list(texts)), start.kind
    collection = Collection({kind: column}, name="base")
    options = dict(start.encoder)
    weights = training.stream_seed(start.seed, "weights") % 2**31
    encoder = encoders.build_encoder(options.pop("name"), column, seed=weights, **options)
    inputs = training.inputs_of(collection, {kind: encoder.prepare(column)}, {kind: (kind,)}, np.arange(len(column)))
    given: Mapping[str, Any] = {"device": "cpu", "seed": start.seed} | dict(start.training)
    resolved = training.Training(**given).resolved(found.recipe, len(inputs))
    build = partial(found.build, found.settings(**start.settings))
    learner = training.assemble(build, {kind: encoder}, {kind: (kind,)}, inputs, resolved)
    training.train(learner, inputs, resolved)
    served = encoders.restore_encoder(encoder.config() | dict(start.serves), encoder.assets())
    served.load_state_dict(encoder.state_dict())
    return served.eval()
