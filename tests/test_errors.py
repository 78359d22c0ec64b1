"""An optional package that is missing, too old or broken is told apart."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from unalike import errors
from unalike.errors import MissingExtra

ROOT = Path(__file__).parents[1]


def package(folder: Path, name: str, version: str, content: str) -> None:
    """A package as pip would install it."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(content)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(errors, "_requirements", lambda extra: {"oldish": "5.4"} if extra == "text" else {})
    yield tmp_path
    for name in ("oldish", "needy"):
        sys.modules.pop(name, None)


def test_a_package_that_is_not_there(places: Path) -> None:
    with pytest.raises(MissingExtra) as told:
        try:
            import oldish  # noqa: F401
        except ImportError as error:
            raise MissingExtra("oldish", "text") from error
    assert str(told.value) == "oldish is not installed. It comes with an extra: pip install 'unalike[text]'"
    # Nothing failed at all: it was looked for and not found.
    assert str(MissingExtra("oldish", "text")) == str(told.value)
    assert told.value.extra == "text"


@pytest.mark.parametrize(
    "line", ["from oldish.newer import Part", "from oldish import Part", "import oldish.newer.parts"]
)
def test_a_package_that_is_too_old(line: str, places: Path) -> None:
    package(places, "oldish", "5.3.0", "")
    with pytest.raises(MissingExtra, match=r"oldish 5\.3\.0 is installed and too old: at least 5\.4 is needed"):
        try:
            exec(line)
        except ImportError:
            raise MissingExtra("oldish", "text") from None


def test_a_package_that_is_new_enough_and_fails(places: Path) -> None:
    package(places, "oldish", "5.10.1", "raise ImportError('libodd.so: cannot open shared object file')")
    with pytest.raises(MissingExtra, match=r"oldish 5\.10\.1 is installed and cannot be imported: libodd\.so: cannot"):
        try:
            import oldish  # noqa: F401
        except ImportError as error:
            raise MissingExtra("oldish", "text") from error


def test_a_package_that_lacks_another(places: Path) -> None:
    package(places, "needy", "1.0", "import oldish")
    with pytest.raises(MissingExtra, match=r"needy 1\.0 is installed and cannot be imported: No module named 'oldish'"):
        try:
            import needy  # noqa: F401
        except ImportError as error:
            raise MissingExtra("needy", "image") from error


def test_the_least_versions_are_those_of_the_extras() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert "sentence-transformers>=6" in extras["text"]
    known = errors._requirements("text")
    assert known["transformers"] == "5" and set(known) == {line.partition(">=")[0] for line in extras["text"]}
    assert errors._requirements("video") == {"av": "14"}
    assert errors._numbers("5.10.1") > errors._numbers("5.4") > errors._numbers("5.3.0+cpu")
