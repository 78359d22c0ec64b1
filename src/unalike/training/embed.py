"""Vectors of the whole training set, as hooks need them: for clusters, mining, graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from unalike.encoders import Encoder
from unalike.training.batch import Inputs


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
