"""Optimisers and the learning rate's course."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from unalike.training.settings import Training


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling: SGD with momentum whose step in each layer follows the layer's norm.

    Paper: You, Gitman, Ginsburg. Large Batch Training of Convolutional Networks. 2017, arXiv 1708.03888.

    Args:
        params: parameters or groups; a group with ``adapt=False`` (biases, norms) takes plain momentum steps.
        lr: learning rate.
        momentum: momentum.
        weight_decay: L2 penalty, added to the gradient before the layer's norm ratio is taken.
        trust: trust coefficient (eta in the paper).

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> optimizer = LARS(layer.parameters(), lr=0.1)
        >>> layer(torch.ones(1, 3)).sum().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "adapt": True},
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                decay = group["weight_decay"]
                update = parameter.grad.add(parameter, alpha=decay) if decay else parameter.grad
                if group["adapt"]:
                    size, pull = parameter.norm(), parameter.grad.norm()
                    ratio = group["trust"] * size / (pull + decay * size)
                    update = update * torch.where((size > 0) & (pull > 0), ratio, torch.ones_like(size))
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                state["momentum_buffer"].mul_(group["momentum"]).add_(update)
                parameter.add_(state["momentum_buffer"], alpha=-group["lr"])
        return loss


def make_optimizer(
    parameters: Iterable[nn.Parameter], training: Training, factors: Mapping[nn.Parameter, float] | None = None
) -> Optimizer:
    """The optimiser of resolved settings; biases, norms and single numbers get no weight decay.

    Args:
        parameters: what it moves.
        training: resolved settings.
        factors: of the learning rate, for the parameters that have one (`unalike.training.rate_factors`); parameters of
            equal factors share a group, which keeps it under ``factor``.
    """
    parted: dict[float, tuple[list[nn.Parameter], list[nn.Parameter]]] = {}
    for parameter in parameters:
        matrices, others = parted.setdefault((factors or {}).get(parameter, 1.0), ([], []))
        (matrices if parameter.ndim > 1 else others).append(parameter)
    assert training.learning_rate is not None and training.weight_decay is not None
    groups: list[dict[str, Any]] = []
    for factor in sorted(parted, reverse=True):
        for held, decay in zip(parted[factor], (training.weight_decay, 0.0), strict=True):
            rate = factor * training.learning_rate
            group: dict[str, Any] = {"params": held, "weight_decay": decay, "factor": factor, "lr": rate}
            groups += [group] if held else []
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=training.learning_rate, momentum=0.9)
    for group in groups:
        group["adapt"] = group["weight_decay"] == training.weight_decay and group["params"][0].ndim > 1
    return LARS(groups, lr=training.learning_rate)


def learning_rate(step: int, total: int, training: Training) -> float:
    """Linear warm-up to the peak, then half a cosine to zero."""
    assert training.learning_rate is not None and training.warmup is not None
    rising = max(1, round(total * training.warmup)) if training.warmup else 0
    if step < rising:
        return training.learning_rate * (step + 1) / rising
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))
