"""What a trained system serves: what it is used for, and so what is scored, shown and asked of its run.

A system says it in `Learner.serves`. Each capability is a small record; what is computed of it at the end of a training
and by the commands stands in `unalike.runs.serving`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class Embeds:
    """Vectors in which alike things lie close: a learner's ``encoders`` and ``project`` make them."""

    name: ClassVar[str] = "embeds"
    verbs: ClassVar[tuple[str, ...]] = ("embed", "search", "cluster", "score")


@dataclass(frozen=True)
class Ranks:
    """Items in an order: what a user chooses next, or which labels a text has.

    Args:
        kind: of the encoder that scores the items.
    """

    kind: Literal["clicks", "labels"]

    name: ClassVar[str] = "ranks"
    verbs: ClassVar[tuple[str, ...]] = ("predict", "search", "embed")


@dataclass(frozen=True)
class Classifies:
    """A probability for each class of the training labels.

    Args:
        kind: of the things that are classified; the learner's encoder of this kind prepares them.
        logits: ``(B, classes)`` of a batch as `unalike.encoders.Prepared.take` gives it, in the order of the codes that
            `Batch.labels` has.

    Example:
        >>> import torch
        >>> from unalike.training import Classifies
        >>> Classifies("array", torch.nn.Linear(4, 3)).logits(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """

    kind: str
    logits: Callable[[Any], Tensor]

    name: ClassVar[str] = "classifies"
    verbs: ClassVar[tuple[str, ...]] = ("predict", "search", "embed")


@dataclass(frozen=True)
class Generates:
    """New images or texts.

    Args:
        kind: ``image`` or ``text``.
        sample: makes so many, all chance being drawn from the generator (of the CPU): images as floats in [0, 1] of the
            shape ``(N, C, H, W)`` with one channel or three, texts as a list.

    Example:
        >>> import torch
        >>> from unalike.training import Generates
        >>> noise = Generates("image", lambda count, generator: torch.rand(count, 1, 8, 8, generator=generator))
        >>> noise.sample(2, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    kind: Literal["image", "text"]
    sample: Callable[[int, torch.Generator], Any]

    name: ClassVar[str] = "generates"
    verbs: ClassVar[tuple[str, ...]] = ("sample",)


Capability: TypeAlias = Embeds | Ranks | Classifies | Generates

VERBS = {each.name: each.verbs for each in (Embeds, Ranks, Classifies, Generates)}
"""By the name of a capability the commands that use it."""


def usual(kinds: Collection[str]) -> tuple[Capability, ...]:
    """What a learner serves that does not say it, by the kinds of its encoders: clicks and labels are ranked.

    Example:
        >>> usual(["image", "text"]), usual(["text", "labels"])
        ((Embeds(),), (Ranks(kind='labels'),))
    """
    if "clicks" in kinds:
        return (Ranks("clicks"),)
    if "labels" in kinds:
        return (Ranks("labels"),)
    return (Embeds(),) if kinds else ()
