"""Two processes of batch B against one of batch 2B."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import brute
import pytest
import torch
import two_ranks

from unalike.objectives import gather, rank_offset

pytestmark = pytest.mark.in_turn("src/unalike/objectives/")
NAMES = [
    *(f"whole: {name}" for name in ("info_nce", "clip", "nt_xent", "sup_con", "sigmoid", "what is the same")),
    *(f"own rows: {name}" for name in ("info_nce", "clip", "sup_con", "sigmoid", "what is the same")),
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    if not torch.distributed.is_available():
        pytest.skip("torch without torch.distributed")
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = str(Path(two_ranks.__file__))
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(folder / "store"), str(folder / f"{rank}.pt")], env=environment
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_equal_one_of_twice_the_batch(ranks, name):
    first, second, a, b, labels = two_ranks.make()
    q, k = (torch.nn.functional.normalize(x, dim=1) for x in (first(a), second(b)))
    loss = two_ranks.whole(q, k, labels)[name.split(": ")[1]]()
    parameters = [*first.parameters(), *second.parameters()]
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
    for rank in ranks:
        assert brute.off(rank[name][0], loss) < 1e-7
        for found, right in zip(rank[name][1:], slopes, strict=True):
            right = torch.zeros_like(found) if right is None else right
            assert brute.off(found, right) < 1e-7 or float((found - right).abs().max()) < 1e-12


def test_different_numbers_of_rows_are_refused(ranks):
    assert all("same number" in rank["refusal"] for rank in ranks)


def test_alone_it_is_nothing():
    rows = torch.ones(3, 2, requires_grad=True)
    assert gather(rows) is rows and rank_offset(rows) == 0
