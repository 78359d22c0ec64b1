from __future__ import annotations

from dataclasses import dataclass

import brute
import pytest
import torch
from torch import Tensor, nn

from unalike.errors import DataError, SettingsError
from unalike.objectives import cached, clip, nt_xent


def tower(seed: int, *extra: nn.Module) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.GELU(), *extra, nn.Linear(16, 4)).double()


def unit(x: Tensor) -> Tensor:
    return nn.functional.normalize(x, dim=1)


@pytest.mark.parametrize("chunk", [1, 3, 4, 11, 12, 50])
def test_equals_the_whole_batch(chunk):
    first, second = tower(0), tower(1)
    a, b = brute.vectors(12, 6, 0), brute.vectors(12, 6, 1)
    parameters = [*first.parameters(), *second.parameters()]
    whole = clip(unit(first(a)), unit(second(b)), logit_scale=10.0)
    expected = brute.gradients(whole, *parameters)
    loss = clip(unit(cached(first, a, chunk=chunk)), unit(cached(second, b, chunk=chunk)), logit_scale=10.0)
    assert brute.off(loss, whole) < 1e-12
    for found, right in zip(torch.autograd.grad(loss, parameters), expected, strict=True):
        assert brute.off(found, right) < 1e-10


def test_dropout_draws_the_same_masks_again():
    encoder = tower(0, nn.Dropout(0.5))
    x = brute.vectors(9, 6, 0)
    kept = []
    handle = encoder[-1].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0].detach() == 0))
    torch.manual_seed(3)
    nt_xent(unit(cached(encoder, x, chunk=3)), unit(cached(encoder, x, chunk=3)), temperature=0.2).backward()
    handle.remove()
    assert len(kept) == 12
    again = {tuple(mask.flatten().tolist()) for mask in kept[6:]}
    assert again == {tuple(mask.flatten().tolist()) for mask in kept[:6]}


def test_running_averages_move_once():
    encoder, plain = tower(0, nn.BatchNorm1d(16)), tower(0, nn.BatchNorm1d(16))
    x = brute.vectors(8, 6, 0)
    cached(encoder, x, chunk=4).sum().backward()
    for part in x.split(4):
        plain(part)
    for found, right in zip(encoder.buffers(), plain.buffers(), strict=True):
        assert torch.equal(found, right)


def test_activations_are_not_kept():
    """What autograd keeps for the backward pass does not grow with the number of chunks' activations."""
    encoder = nn.Sequential(nn.Linear(6, 1000), nn.GELU(), nn.Linear(1000, 4)).double()
    sizes = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    x = brute.vectors(40, 6, 0)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        cached(encoder, x, chunk=4)
    assert sum(sizes) < 40 * 1000


@dataclass(frozen=True)
class Words:
    ids: Tensor
    mask: Tensor


def test_batches_of_several_parts():
    table = nn.Embedding(9, 3)

    def encode(batch) -> Tensor:
        words = batch["words"] if isinstance(batch, dict) else batch[0] if isinstance(batch, list | tuple) else batch
        return (table(words.ids) * words.mask[..., None]).sum(1)

    words = Words(torch.arange(10).reshape(5, 2) % 9, torch.ones(5, 2))
    for batch in (words, {"words": words}, [words], (words,)):
        assert torch.equal(cached(encode, batch, chunk=2), encode(batch))


def test_refusals():
    with pytest.raises(SettingsError, match="chunk=0"):
        cached(tower(0), torch.ones(3, 6), chunk=0)
    with pytest.raises(DataError, match="lengths"):
        cached(tower(0), {"a": torch.ones(3, 6), "b": torch.ones(2, 6)}, chunk=2)
    with pytest.raises(DataError, match="lengths"):
        cached(tower(0), torch.ones(0, 6), chunk=2)
