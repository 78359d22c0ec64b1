"""The list of systems is read no further than it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unalike import systems
from unalike.errors import SettingsError


def imported(statement: str) -> set[str]:
    """The files of systems that a fresh process has imported after a statement, and torch if that is among them."""
    code = (
        f"import sys; from unalike import systems; {statement}; "
        "print(*[name.removeprefix('unalike.systems.') for name in sys.modules "
        "if name == 'torch' or name.count('.') == 3 and name.startswith('unalike.systems.')])"
    )
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_one_system_is_found_by_its_file_alone() -> None:
    assert imported("systems.find('moco-v2')") == {"image.moco_v2"}
    assert imported("systems.all_systems()") == set(systems.FILES)


@pytest.mark.parametrize("slug", ["moco_v2", "image.dcl", "", "DCL"])
def test_only_the_slug_itself_names_a_system(slug: str) -> None:
    with pytest.raises(SettingsError, match="there is no system"):
        systems.find(slug)
