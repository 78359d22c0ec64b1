"""Texts that a file from outside may hold: empty ones, a line of a megabyte, other alphabets, other directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unalike

RIGHT_TO_LEFT = [
    "\u0633\u064a\u0627\u0631\u0629 \u062d\u0645\u0631\u0627\u0621",
    "\u05de\u05db\u05d5\u05e0\u05d9\u05ea",
]
IDEOGRAPHS = ["\u8d64\u3044\u81ea\u8ee2\u8eca", "\u7ea2\u8272\u7684\u6c7d\u8f66", "\uc790\uc804\uac70"]
LONG = "a very long line " * 65_000  # above one megabyte


@pytest.mark.parametrize("encoder", ["ngram", "transformer"])
def test_every_text_gets_a_vector_and_empty_ones_are_left_out(encoder: str, tmp_path: Path) -> None:
    texts = [*RIGHT_TO_LEFT, *IDEOGRAPHS, *(f"sentence {n} of a file" for n in range(20)), LONG, "", "   "]
    table = tmp_path / "texts.csv"
    table.write_text("body\n" + "".join(f'"{text}"\n' for text in texts), encoding="utf-8")
    run = unalike.fit(
        table, system="simcse", roles={"text": "body"}, encoder={"text": encoder}, steps=3, batch_size=8, device="cpu",
        out=tmp_path / "run",
    )  # fmt: skip
    vectors = run.embed([*RIGHT_TO_LEFT, *IDEOGRAPHS, LONG]).vectors
    assert len(LONG) > 1 << 20
    assert np.isfinite(vectors).all()
    apart = vectors @ vectors.T - np.eye(len(vectors))
    assert apart.max() < 0.9999, "two different texts have one vector"
    for text in (*RIGHT_TO_LEFT, *IDEOGRAPHS):
        assert run.search(text, k=1)[0].text == text
