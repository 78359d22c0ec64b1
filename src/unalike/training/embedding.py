"""Vectors without views and without gradient: as search and evaluation compare them, and as hooks need them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from unalike.encoders import Encoder, Prepared
from unalike.training.batch import Inputs
from unalike.training.learner import Learner


@contextlib.contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """While open, modules are in evaluation mode; afterwards each part is in the mode that it was in."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@torch.no_grad()
def embed(
    learner: Learner,
    kind: str,
    entries: Prepared | Tensor,
    rows: np.ndarray | None = None,
    *,
    device: torch.device | str | None = None,
    batch: int = 512,
) -> np.ndarray:
    """Unit vectors of some entries, as search and evaluation compare them. The learner is left in evaluation mode.

    Args:
        learner: whose encoder is asked.
        kind: of the entries.
        entries: a prepared column, or N of its entries.
        rows: which of them; all unless given.
        device: where the learner is brought and vectors are computed; where it is unless given.
        batch: entries at a time.

    Returns:
        float32 ``(N, D)``.

    Example:
        >>> import numpy as np
        >>> from unalike import encoders, training
        >>> from unalike.data import ArrayColumn
        >>> column = ArrayColumn(np.eye(3, dtype=np.float32))
        >>> tower = encoders.build_encoder("mlp", [column], width=8)
        >>> learner = training.Learner(
        ...     modules={"array": tower}, encoders={"array": tower}, views=lambda batch, generator: batch, loss=len
        ... )
        >>> training.embed(learner, "array", tower.prepare(column)).shape
        (3, 8)
    """
    if device is not None:
        learner.module.to(device)
    learner.module.eval()
    rows = np.arange(len(entries)) if rows is None else rows
    parts = []
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        part = entries[some] if isinstance(entries, Tensor) else entries.take(some)
        parts.append(learner.embed(kind, part if device is None else part.to(device)).cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


@torch.no_grad()
def embed_inputs(
    inputs: Inputs, role: str, encoder: Encoder, *heads: Callable[[Tensor], Tensor], batch: int = 512
) -> Tensor:
    """Vectors of all training rows, seen plainly: without views, without gradient, in evaluation mode.

    For hooks (``before_epoch``, ``begin``): the modes of the modules are restored, and no random number is drawn.

    Args:
        inputs: the training rows, as hooks get them.
        role: the role to embed, such as ``task.roles["image"][0]``.
        encoder: reads the role; of a teacher give ``teacher.module``.
        heads: applied to the vectors one after the other: projectors, `unalike.encoders.unit`.
        batch: rows at a time.

    Returns:
        float32 ``(N, D)`` on the encoder's device, in the order of the rows; zeros where a row lacks the role.

    Example:
        >>> import numpy as np
        >>> from unalike import encoders, training
        >>> from unalike.data import ArrayColumn
        >>> column = ArrayColumn(np.eye(3, dtype=np.float32))
        >>> tower = encoders.build_encoder("mlp", [column])
        >>> inputs = training.Inputs({"array": tower.prepare(column)})
        >>> vectors = training.embed_inputs(inputs, "array", tower, encoders.unit)
        >>> vectors.shape[0], round(float(vectors[0].norm()), 4)
        (3, 1.0)
    """
    device = next((p.device for p in encoder.parameters()), torch.device("cpu"))
    parts = []
    with evaluating(encoder, *(head for head in heads if isinstance(head, nn.Module))):
        for start in range(0, len(inputs), batch):
            rows = np.arange(start, min(start + batch, len(inputs)))
            entries = inputs.prepared[role].take(rows).to(device)
            vectors = encoder(encoder.plain(entries)).vector
            for head in heads:
                vectors = head(vectors)
            parts.append(vectors.float())
    found = torch.cat(parts)
    present = inputs.present.get(role)
    if present is not None:
        found[torch.from_numpy(~present).to(device)] = 0.0
    return found
