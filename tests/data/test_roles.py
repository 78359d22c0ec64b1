"""What the names of roles say."""

from __future__ import annotations

import pytest

from unalike.data import kind_of, variant_of


@pytest.mark.parametrize(
    ("role", "kind", "variant"),
    [
        ("image", "image", ""),
        ("text:de", "text", "de"),
        ("text:pt-br:old", "text", "pt-br:old"),
        ("image:", "image", ""),
    ],
)
def test_a_role_is_a_kind_and_a_variant(role: str, kind: str, variant: str) -> None:
    assert (kind_of(role), variant_of(role)) == (kind, variant)
