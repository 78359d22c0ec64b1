"""The hash of the code that a result depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from unalike import systems
from unalike.claims import code, code_hash


def file(slug: str) -> Path:
    return Path(systems.find(slug).module.__file__ or "")


@pytest.fixture
def forget():
    """Files are read anew, and once more afterwards."""

    def clear():
        for each in (code.meaning, code.imports, code.stub):
            each.cache_clear()

    yield clear
    clear()


def reached(slug: str) -> set[str]:
    found: set[Path] = set()
    waiting = [file(slug)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(code.imports(path))
    return {str(path.relative_to(code.PACKAGE)) for path in found}


def test_a_system_reaches_its_own_objective_and_no_other():
    files = reached("simclr")
    assert {"systems/image/simclr.py", "objectives/contrastive.py", "objectives/score.py", "views/presets.py"} <= files
    assert not {"objectives/metric.py", "objectives/ordering.py", "systems/image/byol.py", "cli.py"} & files
    assert "encoders/ema.py" in reached("moco-v2")
    assert "encoders/ema.py" not in files


def test_only_what_the_code_does_counts(monkeypatch, forget):
    before = code_hash([file("simclr")])
    contents: dict[Path, str] = {}
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, **options: contents.get(path, read(path, **options)))
    objective = code.PACKAGE / "objectives" / "contrastive.py"
    text = read(objective, encoding="utf-8")
    contents[objective] = text.replace('"""NT-Xent: of all', '"""Of all').replace("\n\n\n", "\n\n\n# A remark.\n", 1)
    assert contents[objective] != text
    forget()
    assert code_hash([file("simclr")]) == before
    contents[objective] = text.replace("views=2", "views=3", 1)
    assert contents[objective] != text
    forget()
    assert code_hash([file("simclr")]) != before
