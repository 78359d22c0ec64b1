"""Hidden tokens: how many, what stands for them, and that nothing else is touched."""

from __future__ import annotations

import pytest
import torch

from unalike.errors import SettingsError
from unalike.views import Tokens, hide_tokens


def batch(rows: int = 200, length: int = 60) -> Tokens:
    ids = torch.randint(1, 50, (rows, length), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(length) < torch.randint(0, length + 1, (rows, 1), generator=torch.Generator().manual_seed(2))
    return Tokens(ids * mask, mask)


def test_the_shares_are_those_of_the_paper() -> None:
    texts = batch(2000)
    seen, hidden = hide_tokens(texts, torch.Generator().manual_seed(0), vocabulary=50)
    assert torch.equal(seen.ids[~hidden], texts.ids[~hidden])
    assert not (hidden & ~texts.mask).any() and torch.equal(seen.mask, texts.mask)
    assert abs(float(hidden.sum() / texts.mask.sum()) - 0.15) < 0.01
    told = hidden.sum()
    masked, same = (seen.ids == 0)[hidden].sum() / told, (seen.ids == texts.ids)[hidden].sum() / told
    assert abs(float(masked) - 0.8) < 0.01
    assert abs(float(same) - 0.1 - 0.1 / 49) < 0.01
    others = seen.ids[hidden & (seen.ids != 0) & (seen.ids != texts.ids)]
    assert others.min() == 1 and others.max() == 49


def test_every_text_with_a_token_has_one_that_is_told() -> None:
    texts = batch()
    _, hidden = hide_tokens(texts, torch.Generator().manual_seed(0), share=0.001, vocabulary=50)
    assert torch.equal(hidden.any(1), texts.mask.any(1))


def test_impossible_settings_are_named() -> None:
    with pytest.raises(SettingsError, match="share=1"):
        hide_tokens(batch(), torch.Generator(), share=1, vocabulary=50)
    with pytest.raises(SettingsError, match="vocabulary=1"):
        hide_tokens(batch(), torch.Generator(), vocabulary=1)
