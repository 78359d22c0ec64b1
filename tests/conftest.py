"""What all tests share: no network, no global caches, a place for files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
    os.environ[name] = "1"


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared pictures and fetched sets of the tests stay away from the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["UNALIKE_CACHE"] = str(folder)
    return folder
