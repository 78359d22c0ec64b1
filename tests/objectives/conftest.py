from __future__ import annotations

import pytest

from unalike.objectives import tiles


@pytest.fixture(params=["small tiles", "one tile"])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every portable walk crosses borders of tiles and strips, and also fits in one."""
    if request.param == "small tiles":
        monkeypatch.setattr(tiles, "portable", lambda device: tiles.Shape(3, 3))
        monkeypatch.setattr(tiles, "strip_rows", lambda columns, *, megabytes=16: 3)
