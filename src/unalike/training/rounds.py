"""Federated learning: rounds in which clients train on rows of their own and exchange what the system chooses.

A round is stages of the one training loop: what a client gets is copied when its stage begins, what it sends when its
stage ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unalike.errors import DataError, SettingsError
from unalike.training.batch import Batch, Inputs
from unalike.training.order import AmongRows, Order
from unalike.training.stages import Stage, Update


@dataclass(frozen=True, kw_only=True)
class Client:
    """One of those that train on rows of their own.

    Args:
        views, loss, updates: as of a `unalike.training.Stage`; the local steps of every client may differ.
        trains: names of the modules that its local steps move.
        share: of all steps, relative to the other clients' and the server's stages.
    """

    views: Callable[[Batch, torch.Generator], Any]
    trains: tuple[str, ...]
    loss: Callable[[Any], Tensor] | None = None
    updates: Callable[[Any], Iterator[Update]] | None = None
    share: float = 1.0


class Exchange(nn.Module):
    """What clients and server hand each other; every method may be left as it is.

    It is one of the learner's modules. What it keeps must lie in parameters or buffers, its own or those of other
    modules of the learner, and be written there in place, so that a run that was stopped can go on.
    """

    def receive(self, client: int, inputs: Inputs) -> None:
        """Hand the server's part to a client, before its local steps."""

    def send(self, client: int, share: float, inputs: Inputs) -> None:
        """Take a client's part after its local steps; ``share`` is its part of the rows of all that take part."""

    def merge(self, clients: Sequence[int], inputs: Inputs) -> None:
        """Make the server's part of what these clients have sent, once all of a round have."""


class Averaging(Exchange):
    """The server's modules become the mean of the clients', weighted by their rows.

    Paper: McMahan, Moore, Ramage, Hampson, Aguera y Arcas. Communication-Efficient Learning of Deep Networks from
    Decentralized Data. 2017, arXiv 1602.05629, algorithm 1.

    Args:
        server: the modules that are shared, by name; they are modules of the learner too.
        clients: of each client modules of the same names and shapes. Clients without parts of their own that last may
            all have the same ones: each begins from the server's.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from unalike.training import Averaging
        >>> server, local = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> exchange = Averaging({"head": server}, [{"head": local}, {"head": local}])
        >>> for client, value in enumerate((1.0, 5.0)):
        ...     exchange.receive(client, None)
        ...     _ = nn.init.constant_(local.weight, value)
        ...     exchange.send(client, (0.75, 0.25)[client], None)
        >>> exchange.merge([0, 1], None)
        >>> server.weight.tolist()
        [[2.0, 2.0]]
    """

    def __init__(self, server: Mapping[str, nn.Module], clients: Sequence[Mapping[str, nn.Module]]) -> None:
        super().__init__()
        # Not as modules of this one: a checkpoint would hold them twice.
        self.shared = (dict(server), tuple(dict(each) for each in clients))
        for number, tensor in enumerate(self._tensors(server)):
            self.register_buffer(f"sum_{number}", torch.zeros_like(tensor))

    def receive(self, client: int, inputs: Inputs) -> None:
        server, clients = self.shared
        for name, module in server.items():
            clients[client][name].load_state_dict(module.state_dict())

    @torch.no_grad()
    def send(self, client: int, share: float, inputs: Inputs) -> None:
        for total, tensor in zip(self._sums, self._tensors(self.shared[1][client]), strict=True):
            if total.is_floating_point():
                total.add_(tensor, alpha=share)
            else:  # counts of steps: the largest
                torch.maximum(total, tensor, out=total)

    @torch.no_grad()
    def merge(self, clients: Sequence[int], inputs: Inputs) -> None:
        for total, tensor in zip(self._sums, self._tensors(self.shared[0]), strict=True):
            tensor.copy_(total)
            total.zero_()

    @property
    def _sums(self) -> list[Tensor]:
        return [self.get_buffer(f"sum_{number}") for number in range(len(self._tensors(self.shared[0])))]

    @staticmethod
    def _tensors(modules: Mapping[str, nn.Module]) -> list[Tensor]:
        """Parameters and buffers, by the order of the names; of the server and of every client the same."""
        return [tensor for name in sorted(modules) for tensor in modules[name].state_dict().values()]


class Sent(nn.Module):
    """Tensors that clients have sent, beside or in place of weights: features of public rows, prototypes, scores.

    Args:
        clients: how many there are.
        **shapes: by name the shape of what one client sends.

    Example:
        >>> import torch
        >>> from unalike.training import Sent
        >>> sent = Sent(3, features=(2, 4))
        >>> sent.put(1, features=torch.ones(2, 4))
        >>> sent.features.sum(dim=(1, 2)).tolist(), sent.has.tolist()
        ([0.0, 8.0, 0.0], [False, True, False])
    """

    has: Tensor

    def __init__(self, clients: int, **shapes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("has", torch.zeros(clients, dtype=torch.bool))
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(clients, *shape))

    @torch.no_grad()
    def put(self, client: int, **tensors: Tensor) -> None:
        """Keep what a client sends, in place of what it sent before."""
        for name, tensor in tensors.items():
            self.get_buffer(name)[client].copy_(tensor)
        self.has[client] = True

    def clear(self) -> None:
        """Forget who has sent, as at the beginning of a round."""
        self.has.zero_()


def federated(
    clients: Sequence[Client],
    exchange: Exchange,
    count: int,
    *,
    part: Callable[[int], Sequence[int]] | None = None,
    by: str = "client",
    before: Stage | None = None,
    after: Stage | None = None,
) -> tuple[Stage, ...]:
    """The stages of a federated training.

    In each round every client that takes part receives, trains on its own rows, and sends; then the server merges. The
    learning rate follows its course over all rounds, at the same place for every client of a round.

    Args:
        clients: by number, which is their code in ``inputs.extra[by]``; the system's record names it as ``extra``.
        exchange: what they hand each other.
        count: of rounds.
        part: which clients take part in a round, by its number; all unless given.
        by: the name of the codes that say whose a row is.
        before, after: what the server trains in each round before the clients do, and after the merge.

    Returns:
        The stages, for ``Learner(stages=...)``; each needs a step at least.

    Raises:
        SettingsError: nobody takes part in a round, or a client that there is not.
        DataError: when training begins: the rows do not tell whose they are, or a client that takes part has none.

    Example:
        >>> from unalike.training import Client, Exchange, federated
        >>> client = Client(views=lambda batch, generator: batch, loss=len, trains=("local",))
        >>> len(federated([client] * 3, Exchange(), 4, part=lambda number: (0, number % 3)))
        6
    """
    found: list[Stage] = []
    for number in range(count):
        course = (number / count, (number + 1) / count)
        taking = tuple(dict.fromkeys(part(number))) if part is not None else tuple(range(len(clients)))
        if not taking or not set(taking) <= set(range(len(clients))):
            raise SettingsError(
                f"in round {number} some of the clients 0 to {len(clients) - 1} take part; given: {taking}"
            )
        if before is not None:
            found.append(replace(before, course=course))
        for client in taking:
            found.append(_local(client, clients[client], exchange, taking, by, course))
        if after is not None:
            found.append(replace(after, course=course))
    return tuple(found)


def _local(
    number: int, client: Client, exchange: Exchange, taking: tuple[int, ...], by: str, course: tuple[float, float]
) -> Stage:
    """The stage of a client in a round; that of the last one of a round ends with the merge."""

    def order(inputs: Inputs, batch_size: int, seed: int) -> Order:
        return AmongRows(rows_of(inputs, by, number), batch_size, seed)

    def end(inputs: Inputs) -> None:
        counts = {each: len(rows_of(inputs, by, each)) for each in taking}
        exchange.send(number, counts[number] / sum(counts.values()), inputs)
        if number == taking[-1]:
            exchange.merge(taking, inputs)

    return Stage(
        share=client.share,
        views=client.views,
        loss=client.loss,
        updates=client.updates,
        order=order,
        begin=partial(exchange.receive, number),
        end=end,
        trains=client.trains,
        course=course,
    )


def rows_of(inputs: Inputs, by: str, client: int) -> np.ndarray:
    """The training rows of a client.

    Raises:
        DataError: the rows do not tell whose they are, or it has none.
    """
    if by not in inputs.extra:
        known = ", ".join(inputs.extra) or "nothing"
        raise DataError(f"the rows tell {known} and not their {by}: the system's record must name it (extra=({by!r},))")
    rows = np.flatnonzero(inputs.extra[by] == client)
    if not len(rows):
        raise DataError(f"{by} {client} has no training rows; leave it out of the rounds (part)")
    return rows
