"""The list of sets: complete, consistent, and there at once."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from unalike.data.catalogue import CATALOGUE, EMBEDDED, SetRecord, card, find_record
from unalike.errors import DataError

names = pytest.mark.parametrize("record", CATALOGUE, ids=[record.name for record in CATALOGUE])


def test_importing_the_list_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; from unalike.data import CATALOGUE, card, find_record, fetch, open_set; card('emoji');"
        "print(*sorted({'numpy', 'pyarrow', 'torch', 'PIL', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_unknown_name_lists_what_there_is_nearest_first() -> None:
    with pytest.raises(DataError, match=r"no data set 'tuxpant'; there are tuxpaint, "):
        find_record("tuxpant")
    with pytest.raises(DataError, match=r"no data set 'Word-Net'; there are wordnet, "):
        card("Word-Net")


def test_names_are_distinct() -> None:
    assert len({record.name for record in CATALOGUE}) == len(CATALOGUE)


@names
def test_each_record_has_a_module_that_can_do_its_part(record: SetRecord) -> None:
    module = importlib.import_module(f"unalike.data.sets.{record.module}")
    assert hasattr(module, "convert") == record.cached
    assert hasattr(module, "open_set") != record.weights
    assert bool(record.kinds) != record.weights


@names
def test_archives_are_pinned(record: SetRecord) -> None:
    if record.origin in ("embedded", "fetched"):
        assert bool(record.archives) != bool(record.index)
    indexed = record.index or any(find_record(name).index for name in record.needs)
    assert bool(record.size) == (bool(record.clients) and not indexed)
    for archive in record.archives:
        assert archive.version and archive.size > 10_000
        assert len(archive.sha256) == 64 and int(archive.sha256, 16) > 0


@names
def test_each_card_says_everything(record: SetRecord) -> None:
    found = card(record.name)
    for text in (found.description, found.licence, found.script, found.split_rule, *found.source, *found.problems):
        assert text.strip()
    assert found.source and found.problems and found.counts
    assert {role.split(":")[0] for role in found.roles} == set(record.kinds)
    if record.cached:
        assert not found.sha256
    else:
        assert all((EMBEDDED / file).is_file() for file in found.sha256)
    if "rows" in found.counts:
        assert sum(found.splits.values()) == found.counts["rows"]


def test_every_embedded_file_stands_on_a_card() -> None:
    stated = {file for record in CATALOGUE for file in card(record.name).sha256}
    assert stated == {path.name for path in EMBEDDED.iterdir()}
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 20_000_000
