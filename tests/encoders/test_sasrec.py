"""SASRec: what it reads, that it looks at nothing later, and that it is found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unalike.data import ArrayColumn, ClicksColumn
from unalike.encoders import SASRec, build_encoder, fresh_encoder, restore_encoder
from unalike.errors import DataError, RunError, SettingsError
from unalike.views import Tokens


def column(rows: int = 12, items: int = 9, seed: int = 0) -> ClicksColumn:
    generator = np.random.default_rng(seed)
    return ClicksColumn.of_sequences(
        [
            [f"i{item}" for item in range(items)],
            *([f"i{i}" for i in generator.integers(0, items, 1 + row)] for row in range(rows)),
        ]
    )


def made(**options: object) -> SASRec:
    encoder = build_encoder("sasrec", column(), **{"width": 16, "depth": 2, "heads": 2, "length": 6} | options)  # type: ignore[arg-type]
    assert isinstance(encoder, SASRec)
    return encoder.eval()


def test_later_items_change_no_earlier_state() -> None:
    encoder = made()
    ids = torch.randint(1, 10, (4, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids).bool()
    states = encoder(Tokens(ids, mask)).tokens
    for place in range(1, 6):
        changed = ids.clone()
        changed[:, place:] = changed[:, place:] % 9 + 1
        others = encoder(Tokens(changed, mask)).tokens
        assert torch.allclose(others[:, :place], states[:, :place], atol=1e-6)
        assert not torch.allclose(others[:, place], states[:, place], atol=1e-3)


def test_the_vector_is_the_state_at_the_last_item_whatever_the_padding() -> None:
    encoder = made()
    packed = encoder.prepare(column())
    together = encoder(packed.take(np.arange(13)))
    for row in range(13):
        alone = encoder(packed.take([row]))
        assert torch.allclose(alone.vector, together.vector[row], atol=1e-5)
        assert torch.allclose(alone.vector, alone.tokens[:, -1], atol=1e-6)


def test_only_the_last_events_are_read_and_all_are_remembered() -> None:
    encoder, sequences = made(), column()
    packed = encoder.prepare(sequences)
    tokens = packed.take(np.arange(13))
    for row in range(13):
        expected = (sequences.history(row) + 1)[-6:].tolist()
        assert tokens.ids[row][tokens.mask[row]].tolist() == expected
    owner, items = packed.flat([3, 12])
    assert items[owner == 1].tolist() == sequences.history(12).tolist()


def test_items_never_trained_on_are_left_out_and_counted() -> None:
    encoder = made()
    new = ClicksColumn.of_sequences([["i3", "new", "i1", "i2"], ["new", "newer"], ["i1", "i2", "new"]]).before_last(1)
    with pytest.warns(
        UserWarning, match=r"3 of 6 events choose 2 items that were never trained on|of .* never trained on"
    ):
        packed = encoder.prepare(new)
    assert packed.present.tolist() == [True, False, True]
    own = {item: number for number, item in enumerate(encoder.vocabulary)}
    assert (packed.take([0]).ids - 1).tolist() == [[own["i3"], own["i1"]]]
    assert packed.targets.tolist() == [own["i2"], -2, -2]


def test_shape_and_vocabulary_are_found_again() -> None:
    encoder = made(returning=True)
    again = restore_encoder(encoder.config(), encoder.assets())
    again.load_state_dict(encoder.state_dict())
    again.eval()
    tokens = encoder.prepare(column()).take([5, 7])
    assert torch.equal(again(tokens).vector, encoder(tokens).vector)
    assert again.vocabulary == encoder.vocabulary and again.returning  # type: ignore[union-attr]
    fresh = fresh_encoder(encoder, seed=3)
    assert fresh.config() == encoder.config()
    with pytest.raises(RunError, match=r"items.json is damaged"):
        restore_encoder(encoder.config(), {"items.json": b"[1"})


def test_whether_items_come_back_is_seen_in_the_training_rows() -> None:
    assert made().returning
    once = ClicksColumn.of_sequences([["a", "b"], ["b", "c"]])
    assert not build_encoder("sasrec", once, width=8).returning  # type: ignore[union-attr]


def test_what_it_cannot_read_is_refused() -> None:
    with pytest.raises(DataError, match="SASRec reads clicks; given: a column of the kind 'array'"):
        made().prepare(ArrayColumn(np.zeros((2, 3))))
    with pytest.raises(SettingsError, match="lengths and a vocabulary of at least 1"):
        SASRec([])
    with pytest.raises(DataError, match="different items"):
        build_encoder("sasrec", [column(), ClicksColumn.of_sequences([["z"]])])
