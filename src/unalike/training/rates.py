"""The learning rate of each part: what is pretrained moves slowly, what is new at the recipe's rate."""

from __future__ import annotations

import re

from torch import nn

from unalike.encoders import Encoder
from unalike.errors import SettingsError
from unalike.training.learner import Learner
from unalike.training.settings import Training

_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h|stages)\.(\d+)\.")
_BELOW = re.compile(r"embed|(?:^|\.)(?:wte|wpe|stem|cls_token)(?:$|\.)")


def rate_factors(learner: Learner, training: Training) -> dict[nn.Parameter, float]:
    """By parameter the factor of the learning rate, for those that have one other than 1.

    Args:
        learner: its ``rates``, by module, and its pretrained encoders are looked at.
        training: resolved settings; ``pretrained_rate`` is the rate of pretrained weights and ``layer_decay`` what it
            falls by from layer to layer. Without a ``pretrained_rate`` these weights are like all others.

    Raises:
        SettingsError: layers are to have rates of their own and an encoder has none that are numbered.

    Example:
        >>> from unalike import training
        >>> from unalike.encoders import NgramEncoder
        >>> tower = NgramEncoder(buckets=100, width=8)
        >>> tower.pretrained = True
        >>> learner = training.Learner(
        ...     modules={"encoder": tower}, encoders={"text": tower}, views=lambda batch, generator: batch, loss=len
        ... )
        >>> options = training.Training(learning_rate=1e-3, pretrained_rate=1e-4)
        >>> {round(factor, 6) for factor in training.rate_factors(learner, options).values()}
        {0.1}
    """
    factors: dict[nn.Parameter, float] = {}
    for name, factor in learner.rates.items():
        for parameter in learner.modules[name].parameters():
            factors[parameter] = factor
    for encoder in pretrained_encoders(learner):
        slower = 1.0
        if training.pretrained_rate is not None and training.learning_rate:
            slower = training.pretrained_rate / training.learning_rate
        depths = depths_of(encoder) if training.layer_decay != 1 else {}
        for parameter in encoder.parameters():
            decayed = training.layer_decay ** depths.get(parameter, 0)
            factors[parameter] = factors.get(parameter, 1.0) * slower * decayed
    return {parameter: factor for parameter, factor in factors.items() if factor != 1}


def pretrained_encoders(learner: Learner) -> list[Encoder]:
    """The encoders of a learner whose weights were trained elsewhere, none within another."""
    found: list[Encoder] = []
    within: set[nn.Module] = set()
    for module in learner.module.modules():
        if isinstance(module, Encoder) and module.pretrained and module not in within:
            found.append(module)
            within.update(module.modules())
    return found


def depths_of(encoder: Encoder) -> dict[nn.Parameter, int]:
    """How many layers lie above each parameter: 0 for what follows the last layer, most for the embeddings.

    Raises:
        SettingsError: the encoder has no layers that are numbered.
    """
    layers = {name: int(found[1]) for name, _ in encoder.named_parameters() if (found := _LAYER.search(name))}
    if not layers:
        raise SettingsError(
            f"layer_decay: {type(encoder).__name__} has no numbered layers whose rates could differ; leave it out"
        )
    count = max(layers.values()) + 1
    depths = {}
    for name, parameter in encoder.named_parameters():
        below = count + 1 if _BELOW.search(name) else 0
        depths[parameter] = count - layers[name] if name in layers else below
    return depths
