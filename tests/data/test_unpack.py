"""Archives and pickles that are up to no good."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unalike.data.unpack import load_numpy_pickle, unpack
from unalike.errors import DataError


def tar_bytes(members: dict[str, bytes], mode: str = "w:gz", links: dict[str, str] | None = None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return made.getvalue()


def deb_bytes(data: bytes, suffix: str = "xz") -> bytes:
    """A Debian package is an ar archive of three members, each padded to an even length."""
    made = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (f"data.tar.{suffix}", data)):
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        made += b"\n" * (len(content) % 2)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["zip", "tgz", "deb"])
def test_files_arrive_as_they_were(tmp_path: Path, kind: str) -> None:
    members = {"a.txt": b"one", "inner/deep/b.bin": os.urandom(70_000), "empty": b""}
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.mkdir("inner")
            for name, content in members.items():
                zipped.writestr(name, content)
    elif kind == "tgz":
        (tmp_path / "x").write_bytes(tar_bytes(members))
    else:
        (tmp_path / "x").write_bytes(deb_bytes(tar_bytes({f"./{name}": c for name, c in members.items()}, "w:xz")))
    unpack(tmp_path / "x", tmp_path / "out")
    assert files(tmp_path / "out") == members


def test_a_real_debian_package(tmp_path: Path) -> None:
    root = tmp_path / "made"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr").mkdir()
    (root / "usr/hello").write_text("hello")
    (root / "DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: a\n"
    )
    try:
        subprocess.run(["dpkg-deb", "-Zxz", "--build", root, tmp_path / "a.deb"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("dpkg-deb is not on this machine")
    unpack(tmp_path / "a.deb", tmp_path / "out")
    assert files(tmp_path / "out") == {"usr/hello": b"hello"}


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil"])
@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_no_name_leaves_its_folder(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "x.whl", "w") as zipped:
            zipped.writestr(name, b"evil")
    else:
        (tmp_path / "x.whl").write_bytes(tar_bytes({name: b"evil"}))
    with pytest.raises(DataError, match=r"x.whl holds the name .*evil.*, which leaves its folder"):
        unpack(tmp_path / "x.whl", tmp_path / "in/out")
    assert files(tmp_path / "in") == {} and not (tmp_path / "evil").exists()


def test_links_are_left_out_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    data = tar_bytes({"a": b"1"}, links={"door": str(tmp_path / "outside"), "door2": "../outside"})
    (tmp_path / "x.tgz").write_bytes(data)
    unpack(tmp_path / "x.tgz", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a"]


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04" + bytes(50), b"!<arch>\n" + b"x" * 60])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match="x is "):
        unpack(tmp_path / "x", tmp_path / "out")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_truncated_archive(tmp_path: Path, mode: str) -> None:
    whole = tar_bytes({"a": os.urandom(50_000)}, mode)
    (tmp_path / "x").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="x is damaged"):
        unpack(tmp_path / "x", tmp_path / "out")


class Evil:
    def __init__(self, call: tuple) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch evil",)),
        (eval, ("open('evil', 'w')",)),
        (np.testing.assert_equal, (1, 1)),
        (getattr, ("a", "upper")),
        (np.load, ("evil",)),
    ],
)
def test_a_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="not one of plain numpy arrays: it asks for"):
        load_numpy_pickle(pickle.dumps(Evil(call)))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_of_arrays_loads(protocol: int) -> None:
    given = {"a": np.arange(12, dtype=np.uint8).reshape(3, 4), "b": [np.float64(1.5), "text"]}
    loaded = load_numpy_pickle(pickle.dumps(given, protocol))
    np.testing.assert_array_equal(loaded["a"], given["a"])
    assert loaded["b"] == given["b"]
