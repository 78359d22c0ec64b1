from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from unalike import systems
from unalike.data import CATALOGUE
from unalike.records import Bed

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def beds(part: Any) -> Iterator[Bed]:
    if isinstance(part, Bed):
        yield part
    if is_dataclass(part):
        part = {field.name: getattr(part, field.name) for field in fields(part)}
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, tuple) else ():
        yield from beds(each)


def test_the_claims_fetch_every_set_that_they_are_measured_on() -> None:
    [fetched] = re.findall(r"for set in (.*?);", MAKEFILE.read_text(encoding="utf-8"))
    there = set(fetched.split()) | {record.name for record in CATALOGUE if record.origin in ("embedded", "installed")}
    there |= {record.stored_with for record in CATALOGUE if record.name in there} - {""}
    there |= {record.name for record in CATALOGUE if record.stored_with in there}
    needed = {bed.set.split(":")[0] for each in systems.all_systems() if each.claim for bed in beds(each.claim)}
    assert len(needed) > 10
    assert needed <= there
