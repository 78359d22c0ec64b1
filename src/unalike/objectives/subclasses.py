"""Supervised contrast on two levels: subclasses of about equal size, and the classes that they make up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unalike.objectives.checks import at_least, positive, same_length, same_shape
from unalike.objectives.clusters import concentration
from unalike.objectives.contrastive import coupled, mean_over_paired, narrow, sup_con
from unalike.objectives.score import score_sums
from unalike.pairing import Pairing, Plan, Tile


def sbcl(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    subclasses: Tensor,
    *,
    temperature: float,
    class_temperatures: Tensor,
    weight: float = 0.25,
) -> Tensor:
    """SBCL: SupCon over subclasses, and more weakly over classes with a temperature for each.

    With unit vectors z of all 2B looks, ``c`` the class and ``u`` the subclass of a look and ``i'`` the other look at
    the same sample, the loss is the mean over looks i of ``A_i + weight * B_i``:
    ``A_i = log sum_{j != i} exp(z_i z_j / t) - mean_{u_j = u_i, j != i} z_i z_j / t``, and with ``t_i`` of the class
    ``B_i = log sum_{u_j != u_i or j = i'} exp(z_i z_j / t_i) - mean_{p in P_i} z_i z_p / t_i``, where P_i are the looks
    of the same class and another subclass, and i'. A head class made of subclasses as large as the tail's classes
    attracts its anchors no more often than the tail does, and keeps its parts apart.

    Paper: Hou, Zhang, Wang, Zhou, "Subclass-balancing Contrastive Learning for Long-tailed Recognition", ICCV 2023,
    arXiv:2306.15925, section 3. The authors' release multiplies A by 0.1 / 0.07, as SupCon's does.

    Args:
        first: one look at each sample, unit vectors ``(B, D)``.
        second: another look at the same samples ``(B, D)``.
        labels: class of each sample, int64 ``(B,)``; one of -1 (unknown) has its other look as its only positive.
        subclasses: subclass of each sample, int64 ``(B,)``, each within one class; -1 for a subclass of its own.
        temperature: of A, above zero.
        class_temperatures: of B: for each sample that of its class ``(B,)``, above zero.
        weight: of B; 0.25 in the release.

    Data: two views of each sample, labels, and a partition of each class (`unalike.pairing.balanced_k_means`).
    Cost: 24 B^2 D flops; memory O(B D).

    Raises:
        DataError: shapes do not fit, or one sample. SettingsError: the temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import sbcl
        >>> z, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
        >>> heat = torch.full((4,), 1.0)
        >>> round(float(sbcl(z, z, labels, torch.arange(4), temperature=1.0, class_temperatures=heat)), 4)
        1.6234
    """
    same_shape(first=first, second=second)
    same_length(first=first, labels=labels, subclasses=subclasses, class_temperatures=class_temperatures)
    at_least(2, first, "a negative is another sample")
    positive(temperature=temperature)
    own = subclasses.max() + 1 + torch.arange(len(subclasses), device=subclasses.device)
    parts = torch.where(subclasses < 0, own, subclasses).repeat(2)
    looks = torch.cat([first, second])
    fine = sup_con(looks, parts, temperature=temperature)
    pairing = _AcrossSubclasses(labels.repeat(2), parts)
    sums = score_sums(looks, temperature=class_temperatures.to(first.device).repeat(2), pairing=pairing)
    return fine + weight * narrow(mean_over_paired(coupled(sums), sums), first)


def sbcl_temperatures(
    embeddings: Tensor, labels: Tensor, subclasses: Tensor, *, classes: int, temperature: float
) -> Tensor:
    """The temperature of each class for `sbcl`: by how scattered it is, with a given mean.

    `concentration` around the classes' mean vectors; a class that is one subclass keeps ``temperature``.

    Paper: Hou, Zhang, Wang, Zhou, "Subclass-balancing Contrastive Learning for Long-tailed Recognition", ICCV 2023,
    arXiv:2306.15925, section 3; proportional to the concentration as in the authors' release.

    Args:
        embeddings: unit vectors of the training samples ``(N, D)``.
        labels: their classes, int64 ``(N,)``, -1 where unknown.
        subclasses: their subclasses, int64 ``(N,)``.
        classes: how many there are.
        temperature: mean of the concentrations.

    Returns:
        Temperatures ``(classes,)``.

    Cost: O(N D) time and memory.

    Raises:
        DataError: lengths differ. SettingsError: the temperature is not above zero.

    Example:
        >>> import torch
        >>> from unalike.objectives import sbcl_temperatures
        >>> rows, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
        >>> sbcl_temperatures(rows, labels, torch.tensor([0, 1, 2, 2]), classes=2, temperature=0.1)
        tensor([0.1000, 0.1000])
    """
    same_length(embeddings=embeddings, labels=labels, subclasses=subclasses)
    known = labels >= 0
    rows, numbers = embeddings.detach()[known], labels[known]
    counts = torch.bincount(numbers, minlength=classes)
    centres = rows.new_zeros(classes, rows.shape[1]).index_add_(0, numbers, rows) / counts.clamp(min=1)[:, None]
    found = concentration(rows, centres, numbers, temperature=temperature)
    pairs = torch.unique(torch.stack([numbers, subclasses[known]]), dim=1)
    whole = torch.bincount(pairs[0], minlength=classes) < 2
    return torch.where(whole, temperature, found)


@dataclass(frozen=True, eq=False)
class _AcrossSubclasses(Pairing):
    """Positive: the same class in another subclass, and the other look; ignored: the rest of one's own subclass."""

    labels: Tensor
    parts: Tensor

    def plan(self, queries: Tensor, keys: Tensor) -> Plan:
        count = len(self.labels)
        place = torch.arange(count, device=self.labels.device)
        other = (place + count // 2) % count

        def weights(rows: slice, columns: slice) -> Tile:
            ours, theirs = self.labels[rows, None], self.labels[None, columns]
            same_part = self.parts[rows, None] == self.parts[None, columns]
            twin = other[rows, None] == place[None, columns]
            alike = ((ours == theirs) & (ours >= 0) & ~same_part) | twin
            return Tile(alike.float(), (~alike & ~same_part).float())

        return Plan((count, count), queries.device, weights=weights)
