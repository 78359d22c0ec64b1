"""What all tests share: no network, no global caches, a place for files."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


@pytest.fixture(autouse=True, scope="session")
def no_sync() -> Iterator[None]:
    """Files of tests need not outlive a power cut, and most of the time of writing them is waiting for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield
