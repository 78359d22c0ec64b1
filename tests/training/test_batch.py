"""Batches: which variant a row shows, and what is put back together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unalike.data import ArrayColumn, Collection, LabelColumn
from unalike.encoders import Tokens
from unalike.errors import DataError
from unalike.records import Recipe
from unalike.training import (
    Inputs,
    ShuffledOrder,
    Training,
    assemble,
    every_entry,
    inputs_of,
    step_generator,
    stream_seed,
)


class Table:
    def __init__(self, value: int, rows: int) -> None:
        self.values = torch.full((rows, 2), float(value)) + torch.arange(rows)[:, None] / 100

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: np.ndarray) -> torch.Tensor:
        return self.values[torch.as_tensor(indices)]


class Words:
    """Tokens whose length depends on the variant."""

    def __init__(self, length: int, rows: int) -> None:
        self.length, self.rows = length, rows

    def __len__(self) -> int:
        return self.rows

    def take(self, indices: np.ndarray) -> Tokens:
        ids = torch.as_tensor(indices)[:, None].expand(-1, self.length) + 1
        return Tokens(ids, torch.ones_like(ids, dtype=torch.bool))


def inputs(rows: int = 6) -> Inputs:
    present = np.ones(rows, bool)
    present[::2] = False
    return Inputs(
        {"a": Table(1, rows), "b": Table(2, rows), "c": Table(3, rows)},
        present={"b": present, "c": np.zeros(rows, bool)},
    )


def test_rows_show_only_what_they_have() -> None:
    batch = inputs().batch(np.arange(6))
    for seed in range(20):
        [(entries, codes)] = batch.choose(["a", "b", "c"], torch.Generator().manual_seed(seed))
        assert set(entries[::2, 0].int().tolist()) == {1}
        assert set(entries[1::2, 0].int().tolist()) <= {1, 2}
        assert torch.equal(codes, torch.arange(6))
        assert torch.allclose(entries[:, 0] % 1, torch.arange(6) / 100, atol=1e-5)


def test_two_choices_differ_where_they_can() -> None:
    batch = inputs().batch(np.arange(6))
    (first, _), (second, _) = batch.choose(["a", "b"], torch.Generator().manual_seed(0), count=2)
    assert ((first != second).all(dim=1)[1::2]).all()
    assert (first == second).all(dim=1)[::2].all()


def test_the_first_role_that_a_row_has_can_lead() -> None:
    batch = Inputs({"b": Table(2, 6), "a": Table(1, 6)}, present={"b": np.arange(6) % 2 == 0}).batch(np.arange(6))
    for seed in range(10):
        (first, _), (second, _) = batch.choose(["b", "a"], torch.Generator().manual_seed(seed), count=2, lead=True)
        assert first[:, 0].int().tolist() == [2, 1, 2, 1, 2, 1]
        assert second[:, 0].int().tolist() == [1, 1, 1, 1, 1, 1]


def test_every_variant_is_as_likely() -> None:
    batch = Inputs({"a": Table(1, 2000), "b": Table(2, 2000)}).batch(np.arange(2000))
    [(entries, _)] = batch.choose(["a", "b"], torch.Generator().manual_seed(3))
    assert abs(float(((entries[:, 0] - torch.arange(2000) / 100).round() == 1).float().mean()) - 0.5) < 0.05


def test_tokens_of_several_lengths_are_padded() -> None:
    whole = Inputs({"x": Words(2, 8), "y": Words(5, 8)}).batch(np.arange(8))
    [(tokens, _)] = whole.choose(["x", "y"], torch.Generator().manual_seed(1))
    lengths = tokens.mask.sum(1)
    assert set(lengths.tolist()) == {2, 5}
    assert torch.equal(tokens.ids[:, 0], torch.arange(8) + 1)
    assert (tokens.ids[~tokens.mask] == 0).all()


def test_row_without_any_role_is_an_error() -> None:
    with pytest.raises(KeyError, match="row 0 has none of the roles c, b"):
        inputs().batch(np.arange(2)).choose(["c", "b"], torch.Generator())


def test_every_entry_that_a_row_has_comes_once() -> None:
    codes = {"a": np.arange(6) // 2, "b": np.arange(6) + 10}
    whole = Inputs(inputs().prepared, present=inputs().present, codes=codes)
    entries, owners, equal = every_entry(whole.batch(np.array([1, 0, 3])), ["a", "b", "c"], torch.Generator())
    assert entries[:, 0].tolist() == pytest.approx([1.01, 1.0, 1.03, 2.01, 2.03])
    assert owners.tolist() == [0, 1, 2, 0, 2]
    assert equal.tolist() == [0, 0, 1, 11, 13]
    tokens, owners, _ = every_entry(
        Inputs({"x": Words(2, 4), "y": Words(5, 4)}).batch(np.arange(4)), ["x", "y"], torch.Generator()
    )
    assert tokens.mask.sum(1).tolist() == [2] * 4 + [5] * 4
    with pytest.raises(KeyError, match="row 0 has none of the roles c, b"):
        every_entry(inputs().batch(np.arange(2)), ["c", "b"], torch.Generator())


def test_at_most_some_of_many_entries_are_drawn_evenly() -> None:
    has = np.ones(3000, bool)
    has[:1000] = False
    batch = Inputs({name: Table(n, 3000) for n, name in enumerate("abc")}, present={"a": has}).batch(np.arange(3000))
    entries, owners, _ = every_entry(batch, ["a", "b", "c"], torch.Generator().manual_seed(0), most=2)
    assert owners.bincount().tolist() == [2] * 3000
    which = (entries[:, 0] - owners / 100).round().long()
    shares = which[owners >= 1000].bincount() / 2000
    assert shares.tolist() == pytest.approx([2 / 3] * 3, abs=0.04)
    assert which[owners < 1000].bincount(minlength=3).tolist() == [0, 1000, 1000]


def test_labels_and_codes_follow_the_rows() -> None:
    whole = Inputs({"a": Table(0, 5)}, codes={"a": np.array([7, 7, 8, 9, 9])}, labels=np.array([0, 1, 2, 3, -1]))
    batch = whole.batch(np.array([4, 0]))
    assert batch.labels.tolist() == [-1, 0]
    [(_, codes)] = batch.choose(["a"], torch.Generator())
    assert codes.tolist() == [9, 7]
    with pytest.raises(KeyError, match="no label"):
        _ = inputs().batch(np.arange(2)).labels


@given(rows=st.integers(2, 50), batch=st.integers(2, 50), seed=st.integers(0, 5))
def test_an_epoch_visits_each_row_at_most_once(rows: int, batch: int, seed: int) -> None:
    batch = min(rows, batch)
    order = ShuffledOrder(rows, batch, seed)
    seen = np.concatenate(list(order.epoch(1)))
    assert len(seen) == len(set(seen.tolist())) == len(order) * batch
    assert all(len(rows_) == batch for rows_ in order.epoch(1))
    assert np.array_equal(seen, np.concatenate(list(order.epoch(1))))


def test_streams_do_not_meet() -> None:
    seeds = [
        stream_seed(seed, stream, position)
        for seed in range(4)
        for stream in ("order", "views", "dropout")
        for position in range(50)
    ]
    assert len(set(seeds)) == len(seeds)
    assert not torch.equal(torch.rand(2, generator=step_generator(0, 1)), torch.rand(2, generator=step_generator(1, 0)))


def test_targets_are_numbers_or_nan_where_unknown() -> None:
    turned = Collection(
        {"array": ArrayColumn(np.eye(4)), "array:angle": ArrayColumn([[1], [2], [np.nan], [4]])}, name="turned"
    )
    seen = inputs_of(turned, {"array": Table(1, 4)}, {"array": ("array",)}, np.array([3, 2, 0]))
    targets = seen.batch(np.array([2, 1, 0])).targets
    assert targets.dtype == torch.float32
    assert targets.nan_to_num(-1).tolist() == [1, -1, 4]
    with pytest.raises(KeyError, match="no target"):
        _ = inputs().batch(np.arange(2)).targets


def test_what_else_is_known_of_rows_follows_them() -> None:
    notes = Collection(
        {
            "array": ArrayColumn(np.eye(4)),
            "label:client": LabelColumn([1, 0, -1, 1], ["north", "south"]),
            "array:time": ArrayColumn([[1], [2], [np.nan], [4]]),
            "array:place": ArrayColumn([[1, 2], [3, 4], [5, 6], [7, 8]]),
        },
        name="notes",
        groups=[5, 5, 6, 7],
    )
    names = ("client", "time", "place", "group")
    seen = inputs_of(notes, {"array": Table(1, 4)}, {"array": ("array",)}, np.array([3, 2, 0]), extra=names)
    extra = seen.batch(np.array([2, 1])).extra
    assert {name: tensor.dtype for name, tensor in extra.items()} == {
        "client": torch.int64,
        "time": torch.float32,
        "place": torch.float32,
        "group": torch.int64,
    }
    assert extra["client"].tolist() == [1, -1]
    assert extra["time"].nan_to_num(-1).tolist() == [1, -1]
    assert extra["place"].tolist() == [[1, 2], [5, 6]]
    assert extra["group"].tolist() == [5, 6]
    with pytest.raises(DataError, match=r"does not tell domain, place:2 of its rows; it has .*--label:domain COLUMN"):
        inputs_of(notes, {}, {}, np.arange(2), extra=("client", "domain", "place:2"))
    assert inputs().batch(np.arange(2)).extra == {}
    # The learner is told how many clients there are, and nothing of numbers that are no codes.
    tasks = []
    options = Training(steps=1, batch_size=2, device="cpu").resolved(Recipe(), 3)
    assemble(tasks.append, {}, {"array": ("array",)}, seen, options)
    assert tasks[0].extra == {"client": 2, "group": 8}
    assert (tasks[0].rows, tasks[0].steps_per_epoch) == (3, 1)
