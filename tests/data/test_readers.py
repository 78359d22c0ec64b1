"""Readers: folders, tables, arrays and things in memory; all the bad input that people really have."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unalike.data import Collection, ImageColumn, LabelColumn, TextColumn, open_collection, verify_pictures
from unalike.errors import DataError


def encoded(value: int = 0, kind: str = "PNG", size: tuple[int, int] = (4, 3), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(file, kind, **options)
    return file.getvalue()


def fill(folder: Path, count: int, start: int = 0) -> Path:
    """A folder of sound pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        (folder / f"{number:03d}.png").write_bytes(encoded(number % 256))
    return folder


def reds(collection: Collection, role: str = "image") -> list[int | None]:
    column = collection[role]
    return [None if column[i] is None else column[i].getpixel((0, 0))[0] for i in range(len(column))]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


class TestFolder:
    def test_sub_folders_are_labels(self, tmp_path: Path) -> None:
        for number, place in enumerate(["cat/1.png", "cat/deep/2.JPG", "dog/3.webp", "4.png"]):
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_bytes(encoded(number * 60))
        collection = open_collection(tmp_path)
        assert collection.ids == ["4.png", "cat/1.png", "cat/deep/2.JPG", "dog/3.webp"]
        assert collection.label is not None
        assert [collection.label[i] for i in range(4)] == [None, "cat", "cat", "dog"]
        assert reds(collection) == [180, 0, 60, 120]
        assert collection.name == tmp_path.name
        assert collection.notes == ()
        assert len(open_collection(str(tmp_path), at_least=4)) == 4

    def test_without_sub_folders_there_is_no_label(self, tmp_path: Path) -> None:
        assert open_collection(fill(tmp_path, 3)).roles() == ["image"]

    def test_train_and_test_are_splits(self, tmp_path: Path) -> None:
        for split in ("train", "val", "test"):
            for name in ("cat", "dog"):
                fill(tmp_path / split / name, 2)
        collection = open_collection(tmp_path)
        assert {split: len(rows) for split, rows in collection.splits.items()} == {
            "test": 4,
            "train": 4,
            "validation": 4,
        }
        assert collection.split("validation").ids[0] == "val/cat/000.png"
        assert collection.label is not None
        assert collection.label.names == ["cat", "dog"]
        fill(tmp_path / "owl", 1)  # now train is one class among others
        assert open_collection(tmp_path).splits == {}

    def test_hidden_and_other_files(self, tmp_path: Path) -> None:
        fill(tmp_path, 3)
        fill(tmp_path / ".cache", 2)
        (tmp_path / ".hidden.png").write_bytes(b"")
        (tmp_path / "notes.txt").write_text("not a picture")
        collection = open_collection(tmp_path)
        assert len(collection) == 3
        assert collection.notes == ("1 file is no picture and is ignored",)

    def test_names_with_spaces_and_other_letters(self, tmp_path: Path) -> None:
        names = ["a b.png", "été.png", "猫 🐈.png", "кот.png", "'\";$(x)%s.png", "\n.png"]
        for number, name in enumerate(names):
            (tmp_path / name).write_bytes(encoded(number))
        collection = open_collection(tmp_path)
        assert collection.ids == sorted(names)
        assert sorted(value for value in reds(collection)) == list(range(6))
        assert len(collection.fingerprint()) == 32

    def test_a_name_that_is_no_unicode(self, tmp_path: Path) -> None:
        fill(tmp_path, 1)
        path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
        with open(path, "wb") as file:  # noqa: PTH123 (a path of bytes)
            file.write(encoded(7))
        collection = open_collection(tmp_path)
        assert collection.ids == ["000.png", "\\xff\\xfe.png"]
        assert reds(collection) == [0, 7]
        assert len(collection.fingerprint()) == 32

    def test_links(self, tmp_path: Path) -> None:
        fill(tmp_path / "real", 2)
        folder = fill(tmp_path / "set" / "here", 1)
        (tmp_path / "set" / "linked").symlink_to(tmp_path / "real")
        (folder / "round").symlink_to(tmp_path / "set")  # a circle
        assert sorted(open_collection(tmp_path / "set").ids) == ["here/000.png", "linked/000.png", "linked/001.png"]

    def test_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"there are no pictures in .* \(it is empty\)"):
            open_collection(tmp_path)
        (tmp_path / "a.csv").write_text("x")
        with pytest.raises(DataError, match=r"\(1 .csv\)\..* give the file itself"):
            open_collection(tmp_path)

    def test_one_item(self, tmp_path: Path) -> None:
        assert len(open_collection(fill(tmp_path, 1))) == 1
        with pytest.raises(DataError, match="has 1 row; at least 2 are needed"):
            open_collection(tmp_path, at_least=2)

    def test_one_class(self, tmp_path: Path) -> None:
        fill(tmp_path / "cat", 3)
        assert open_collection(tmp_path).notes == ("all labels are 'cat': scores that compare classes are not defined",)

    def test_columns_of_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="has no columns; asked for were text=caption, label=kind"):
            open_collection(fill(tmp_path, 2), roles={"text": "caption"}, label="kind")

    def test_labels_and_groups_by_value(self, tmp_path: Path) -> None:
        collection = open_collection(
            fill(tmp_path / "x", 4), label=["a", "b", "a", "b"], group=[9, None, 9, None], id=["u", "v", "w", "x"]
        )
        assert collection.label is not None
        assert collection.label.codes.tolist() == [0, 1, 0, 1]
        assert collection.groups is not None
        assert collection.groups.tolist() == [0, 1, 0, 2]
        assert collection.ids == ["u", "v", "w", "x"]

    def test_fingerprint_does_not_depend_on_the_place(self, tmp_path: Path) -> None:
        one, other = fill(tmp_path / "a", 3), fill(tmp_path / "b", 3)
        assert open_collection(one).fingerprint() == open_collection(other).fingerprint()
        (other / "001.png").write_bytes(encoded(200))
        assert open_collection(one).fingerprint() != open_collection(other).fingerprint()

    def test_a_picture_is_a_collection_of_one(self, tmp_path: Path) -> None:
        path = fill(tmp_path, 1) / "000.png"
        assert open_collection(path).ids == ["000.png"]
        path.write_bytes(b"")
        with pytest.raises(DataError, match=r"1 of 1 items of 000 cannot be read.*\n  000.png: the file is empty"):
            open_collection(path)


class TestUnreadablePictures:
    def bomb(self) -> bytes:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

    DAMAGE: tuple[tuple[str, Callable[[Path, TestUnreadablePictures], object], str], ...] = (
        ("empty.png", lambda path, test: path.write_bytes(b""), "the file is empty"),
        ("text.png", lambda path, test: path.write_text("hello, world"), "not a picture in a known format"),
        ("dangling.png", lambda path, test: path.symlink_to("gone"), "a link to gone, which is not there"),
        ("bomb.png", lambda path, test: path.write_bytes(test.bomb()), "at most 64,000,000 pixels are decoded"),
        ("pipe.png", lambda path, test: os.mkfifo(path), "not a regular file"),
    )

    @pytest.mark.parametrize(("name", "make", "reason"), DAMAGE, ids=[name for name, _, _ in DAMAGE])
    def test_one_in_a_hundred_is_skipped_two_stop(
        self, tmp_path: Path, name: str, make: Callable[[Path, TestUnreadablePictures], object], reason: str
    ) -> None:
        fill(tmp_path, 99)
        make(tmp_path / name, self)
        collection = open_collection(tmp_path)
        assert len(collection) == 99
        assert [item.id for item in collection.skipped] == [name]
        assert reason in collection.skipped[0].reason
        assert collection.notes[0].startswith(f"1 of 100 items cannot be read and is skipped: {name}")
        (tmp_path / "second.png").write_bytes(b"")
        with pytest.raises(DataError, match=f"2 of 101 items of {tmp_path.name} cannot be read"):
            open_collection(tmp_path)
        assert len(open_collection(tmp_path, tolerance=0.05)) == 99

    def test_no_permission(self) -> None:
        Image.init()  # as nobody, Pillow may not be able to load its plugins
        with tempfile.TemporaryDirectory() as name:
            folder = fill(Path(name), 100)
            folder.chmod(0o755)
            (folder / "007.png").chmod(0)
            with as_nobody():
                collection = open_collection(folder)
            assert [(item.id, item.reason) for item in collection.skipped] == [("007.png", "Permission denied")]
            (folder / "sub").mkdir()
            (folder / "sub").chmod(0)
            with as_nobody(), pytest.raises(DataError, match="sub cannot be read: Permission denied"):
                open_collection(folder)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_truncation_shows_when_decoded(self, tmp_path: Path, kind: str) -> None:
        fill(tmp_path, 99)
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
        noise.save(tmp_path / f"whole.{kind.lower()}")
        whole = (tmp_path / f"whole.{kind.lower()}").read_bytes()
        (tmp_path / f"whole.{kind.lower()}").unlink()
        (tmp_path / f"torn.{kind.lower()}").write_bytes(whole[: len(whole) * 2 // 3])
        collection = verify_pictures(open_collection(tmp_path))
        assert len(collection) == 99
        assert [item.id for item in collection.skipped] == [f"torn.{kind.lower()}"]
        with pytest.raises(DataError, match="1 of 100"):
            verify_pictures(open_collection(tmp_path, tolerance=0.0), tolerance=0.0)

    def test_animations_are_counted(self, tmp_path: Path) -> None:
        fill(tmp_path, 2)
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        collection = open_collection(tmp_path)
        assert collection.notes == ("1 picture has several frames; the first is used",)
        assert reds(collection)[-1] == 255

    def test_odd_kinds_are_all_rgb(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "deep.png")
        Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "ink.tiff")
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
        Image.new("RGB", (4, 4), (255, 0, 0)).quantize(2).save(tmp_path / "palette.png")
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (9, 4), (255, 0, 0)).save(tmp_path / "turned.jpg", exif=exif, quality=100)
        collection = open_collection(tmp_path)
        assert collection.skipped == ()
        assert {collection.row(i)["image"].mode for i in range(5)} == {"RGB"}
        assert [red > 250 for red in reds(collection)] == [True] * 5
        assert collection["image"][collection.ids.index("turned.jpg")].size == (4, 9)


class TestCsv:
    def write(self, folder: Path, text: str, name: str = "pairs.csv", encoding: str = "utf-8") -> Path:
        path = folder / name
        path.write_text(text, encoding=encoding, newline="")
        return path

    def test_pairs(self, tmp_path: Path) -> None:
        fill(tmp_path / "pics", 2)
        path = self.write(
            tmp_path,
            'path,caption,titel,kind,who,key\npics/000.png,"a, b",x,k,1,u\npics/001.png,"c ""d""\ne",y,l,1,v\n',
        )
        roles = {"image": "path", "text": "caption", "text:de": "titel"}
        collection = open_collection(path, roles=roles, label="kind", group="who", id="key")
        assert collection.roles() == ["image", "text", "text:de", "label"]
        assert [collection["text"][i] for i in range(2)] == ["a, b", 'c "d"\ne']
        assert reds(collection) == [0, 1]
        assert collection.ids == ["u", "v"]
        assert collection.groups is not None
        assert collection.groups.tolist() == [0, 0]
        assert collection.label is not None
        assert collection.label.names == ["k", "l"]
        assert collection.name == "pairs"
        with pytest.raises(DataError, match="there is no such file"):
            open_collection(path, roles={"image": "path"}, base=tmp_path / "none")

    def test_relative_paths_do_not_depend_on_the_working_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(tmp_path / "pics", 1)
        self.write(tmp_path, f"path\npics/000.png\n{tmp_path}/pics/000.png\n")
        monkeypatch.chdir(tmp_path / "pics")
        assert len(open_collection("../pairs.csv", roles={"image": "path"})) == 2

    def test_one_column_of_strings_needs_no_role(self, tmp_path: Path) -> None:
        collection = open_collection(self.write(tmp_path, "n,body\n1,hello\n2,world\n"))
        assert list(collection["text"]) == ["hello", "world"]
        assert collection.notes == ("the column body is taken as text",)
        collection = open_collection(
            self.write(tmp_path, "key,kind,body\na,k,hello\nb,l,world\n"), id="key", label="kind"
        )
        assert list(collection["text"]) == ["hello", "world"]

    def test_columns_of_numbers_are_one_array(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "a,b,y\n1,2.5,0\n3,4,1\n")
        collection = open_collection(path, label="y")
        assert collection["array"].values.tolist() == [[1, 2.5], [3, 4]]
        assert collection.label is not None
        assert collection.label.names == ["0", "1"]
        assert open_collection(path, roles={"array": "b, a"})["array"].values.tolist() == [[2.5, 1], [4, 3]]

    def test_no_roles(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "path,caption\na,b\n")
        with pytest.raises(DataError, match=r"has the columns path, caption.*--image COLUMN --text COLUMN"):
            open_collection(path)

    def test_missing_column(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "path,caption\na,b\n")
        with pytest.raises(DataError, match=r"no column 'captoin'; it has path, caption. Did you mean 'caption'?"):
            open_collection(path, roles={"text": "captoin"})
        for named in ("label", "group", "id"):
            with pytest.raises(DataError, match=r"no column 'zzz'; it has path, caption$"):
                open_collection(path, roles={"text": "caption"}, **{named: "zzz"})
        with pytest.raises(DataError, match="'smell' is of no known kind"):
            open_collection(path, roles={"smell": "path"})
        with pytest.raises(DataError, match="label is given twice"):
            open_collection(path, roles={"text": "caption", "label": "path"}, label="path")
        with pytest.raises(DataError, match="labels and nothing that they label"):
            open_collection(path, roles={"label": "path"})

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-32"])
    def test_a_byte_order_mark_decides(self, tmp_path: Path, encoding: str) -> None:
        text = "body,n\nété,1\n猫,2\n"
        mark = "\ufeff" if encoding.endswith("bom") else ""
        path = self.write(tmp_path, mark + text, encoding=encoding.removesuffix("-bom"))
        for given in (None, "latin-1"):
            if encoding == "utf-8" and given:
                continue
            collection = open_collection(path, roles={"text": "body"}, encoding=given)
            assert list(collection["text"]) == ["été", "猫"]

    def test_another_encoding_is_named_by_its_first_byte(self, tmp_path: Path) -> None:
        lines = "body\n" + "plain\n" * 100_000 + "été\n"
        path = self.write(tmp_path, lines, encoding="latin-1")
        offset = len("body\n" + "plain\n" * 100_000)
        with pytest.raises(
            DataError, match=f"not UTF-8 .byte 0xe9 at offset {offset}, line 100002.*--encoding latin-1"
        ):
            open_collection(path, roles={"text": "body"})
        assert open_collection(path, roles={"text": "body"}, encoding="latin-1")["text"][100_000] == "été"
        with pytest.raises(DataError, match=r"not ASCII .byte 0xe9"):
            open_collection(path, roles={"text": "body"}, encoding="ascii")
        across = "猫".encode()  # its three bytes lie on both sides of the first MiB, where the file is read in two
        path.write_bytes(b"body\n" + b"x" * ((1 << 20) - 7) + b"\n" + across + b"\xff\n")
        with pytest.raises(DataError, match=f"byte 0xff at offset {(1 << 20) + 2}, line 3"):
            open_collection(path, roles={"text": "body"})
        with pytest.raises(DataError, match="there is no encoding 'klingon'"):
            open_collection(path, encoding="klingon")

    def test_sixteen_bits_without_a_mark(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "body\nhello\n", encoding="utf-16-le")
        with pytest.raises(DataError, match=r"UTF-16 without a byte order mark.*--encoding utf-16-le"):
            open_collection(path)
        assert list(open_collection(path, encoding="utf-16-le")["text"]) == ["hello"]

    def test_another_encoding_in_the_header(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "été,n\na,1\n", encoding="latin-1")
        with pytest.raises(DataError, match="byte 0xe9 at offset 0, line 1"):
            open_collection(path)
        assert list(open_collection(path, roles={"text": "été"}, encoding="latin-1")["text"]) == ["a"]

    def test_empty_cells_and_nan_are_missing(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, 'a,b,kind\nx,p,1\n,q,\nNaN,r,nan\n"",,2\nNA,null,2\n  ,nan,1\n')
        collection = open_collection(path, roles={"text": "a", "text:b": "b"}, label="kind")
        assert [collection.row(i)["text"] for i in range(4)] == ["x", None, None, "NA"]
        assert [collection.row(i)["text:b"] for i in range(4)] == ["p", "q", "r", "null"]
        assert [collection.row(i)["label"] for i in range(4)] == ["1", None, None, "2"]
        assert collection.ids == ["0", "1", "2", "4"]
        assert collection.notes == ("2 of 6 rows have no entry and are left out",)

    def test_unreadable_and_empty_rows_together(self, tmp_path: Path) -> None:
        fill(tmp_path, 110)
        paths = [f"{number:03d}.png" for number in range(110)]
        paths[3], paths[50] = "gone.png", ""
        path = self.write(tmp_path, "path,n\n" + "".join(f"{name},{n}\n" for n, name in enumerate(paths)))
        collection = open_collection(path, roles={"image": "path"}, id="n")
        assert [item.id for item in collection.skipped] == ["3"]
        assert collection.ids == [str(n) for n in range(110) if n not in (3, 50)]
        assert reds(collection)[:5] == [0, 1, 2, 4, 5]

    def test_numbers_that_are_missing(self, tmp_path: Path) -> None:
        rows = "".join(f"{i},{i}\n" for i in range(99))
        path = self.write(tmp_path, "a,b\n" + rows + "1,\n")
        collection = open_collection(path)
        assert len(collection) == 99
        assert collection.skipped[0].reason == "a number is missing or not finite"
        with pytest.raises(DataError, match="2 of 101"):
            open_collection(self.write(tmp_path, "a,b\n" + rows + "1,\nNaN,2\n"))

    def test_a_word_among_the_numbers(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "a,b\n1,2\nx,3\n")
        with pytest.raises(DataError, match=r"the column 'a' is wanted as numbers, but holds 'x' in line 3"):
            open_collection(path, roles={"array": "a,b"})

    def test_ids(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "key,body\na,x\nb,y\na,z\n")
        with pytest.raises(DataError, match="1 rows repeat the id of another row: 'a'"):
            open_collection(path, roles={"text": "body"}, id="key")
        path = self.write(tmp_path, "key,body\na,x\n,y\n")
        with pytest.raises(DataError, match="the id of pairs is empty in 1 rows, such as row 1"):
            open_collection(path, roles={"text": "body"}, id="key")

    def test_repeated_captions(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "body\na\nb\na\na\n")
        groups, rows = open_collection(path).repeated("text")
        assert groups.tolist() == [0, 1, 0, 0]
        assert rows == 3

    def test_one_class(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "body,kind\na,k\nb,k\n")
        assert "all labels are 'k'" in open_collection(path, roles={"text": "body"}, label="kind").notes[-1]
        path = self.write(tmp_path, "body,kind\na,\nb,\n")
        assert "all labels are missing" in open_collection(path, roles={"text": "body"}, label="kind").notes[-1]

    def test_ragged_rows(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "a,b\n1,x\n2,y,z\n")
        with pytest.raises(DataError, match=r"Row #3: Expected 2 columns, got 3.*stands in quotes"):
            open_collection(path)

    def test_line_breaks_in_cells_of_a_large_file(self, tmp_path: Path) -> None:
        cells = [f"{number}\n" * 200 for number in range(12_000)]
        path = self.write(tmp_path, "body,n\n" + "".join(f'"{cell}",1\n' for cell in cells))
        assert path.stat().st_size > 8 << 20
        assert list(open_collection(path)["text"]) == cells

    def test_columns_of_one_name(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="several columns named a"):
            open_collection(self.write(tmp_path, "a,a\n1,2\n"))

    def test_empty(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is empty; expected a header and rows"):
            open_collection(self.write(tmp_path, ""))
        with pytest.raises(DataError, match="pairs has 0 rows; at least 1 are needed"):
            open_collection(self.write(tmp_path, "body\n"), roles={"text": "body"})
        with pytest.raises(DataError, match=r"0 rows; at least 1 are needed. .*2 of 2 rows have no entry"):
            open_collection(self.write(tmp_path, 'body,n\n"",1\n"",2\n'), roles={"text": "body"})

    def test_other_delimiters_and_compression(self, tmp_path: Path) -> None:
        import gzip

        assert list(open_collection(self.write(tmp_path, "n;body\n1;a, b\n"))["text"]) == ["a, b"]
        assert list(open_collection(self.write(tmp_path, "n\tbody\n1\ta, b\n", "t.tsv"))["text"]) == ["a, b"]
        (tmp_path / "z.csv.gz").write_bytes(gzip.compress("n,body\n1,é\n".encode()))
        collection = open_collection(tmp_path / "z.csv.gz")
        assert list(collection["text"]) == ["é"]
        assert collection.name == "z"


class TestJsonLines:
    def write(self, folder: Path, *lines: str) -> Path:
        path = folder / "a.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def test_rows(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path,
            '{"body": "é", "kind": 1, "v": [1, 2]}',
            "",
            '{"body": null}',
            '{"kind": "b", "v": [3, 4.5], "body": NaN}',
        )
        collection = open_collection(path, roles={"text": "body", "array": "v"}, label="kind", tolerance=0.5)
        assert list(collection["text"]) == ["é", None]
        assert collection["array"].values.tolist() == [[1, 2], [3, 4.5]]
        assert collection.label is not None
        assert collection.label.names == ["1", "b"]
        assert len(collection.skipped) == 1

    def test_more_rows_than_a_batch(self, tmp_path: Path) -> None:
        count = 40_000
        path = self.write(tmp_path, *(json.dumps({"body": f"t{i}"}) for i in range(count)))
        assert list(open_collection(path)["text"]) == [f"t{i}" for i in range(count)]

    def test_a_broken_line_is_named(self, tmp_path: Path) -> None:
        good = ['{"body": "x"}'] * 1500
        with pytest.raises(DataError, match=r'a.jsonl, line 1501 is not JSON \(.*\): \{"body": "x'):
            open_collection(self.write(tmp_path, *good, '{"body": "x'))
        with pytest.raises(DataError, match="line 2: expected one object a line"):
            open_collection(self.write(tmp_path, *good[:1], "[1, 2]"))
        with pytest.raises(DataError, match="line 2 is not JSON"):
            open_collection(self.write(tmp_path, *good[:1], "[" * 100_000))

    def test_wrong_types_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="line 2: 'body' holds 3; expected a string"):
            open_collection(self.write(tmp_path, '{"body": "x"}', '{"body": 3}'))
        with pytest.raises(DataError, match=r'line 2: \'v\' holds "a"; expected double'):
            open_collection(self.write(tmp_path, '{"v": 1}', '{"v": "a"}'))
        with pytest.raises(DataError, match="2 different lengths"):
            open_collection(self.write(tmp_path, '{"v": [1]}', '{"v": [1, 2]}'))
        with pytest.raises(DataError, match=r"line 1: 'k' holds .*; expected a string or a number"):
            open_collection(self.write(tmp_path, '{"body": "x", "k": {}}'), roles={"text": "body"}, label="k")

    def test_encoding(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes('{"body": "été"}\n'.encode("latin-1"))
        with pytest.raises(DataError, match="byte 0xe9 at offset 10, line 1"):
            open_collection(tmp_path / "a.jsonl")
        assert list(open_collection(tmp_path / "a.jsonl", encoding="latin-1")["text"]) == ["été"]
        (tmp_path / "a.jsonl").write_text('{"body": "été"}\n', encoding="utf-8-sig")
        assert list(open_collection(tmp_path / "a.jsonl")["text"]) == ["été"]

    def test_an_empty_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has the columns \(none\)"):
            open_collection(self.write(tmp_path))


class TestParquet:
    def write(self, folder: Path, **columns: object) -> Path:
        pq.write_table(pa.table(columns), folder / "a.parquet", row_group_size=2)
        return folder / "a.parquet"

    def test_columns(self, tmp_path: Path) -> None:
        files = [encoded(1), None, encoded(3)]
        path = self.write(
            tmp_path,
            bytes=pa.array(files, pa.binary()),
            words=pa.array(["a", "b", None]).dictionary_encode(),
            vector=pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float64(), 2)),
            kind=pa.array([True, False, None]),
            other=[1, 2, 3],
        )
        roles = {"image": "bytes", "text": "words", "array": "vector"}
        collection = open_collection(path, roles=roles, label="kind", id="other")
        assert reds(collection) == [1, None, 3]
        assert list(collection["text"]) == ["a", "b", None]
        assert collection["array"].values.tolist() == [[1, 2], [3, 4], [5, 6]]
        assert collection.label is not None
        assert collection.label.names == ["False", "True"]
        assert collection.ids == ["1", "2", "3"]
        assert open_collection(path).roles() == ["image", "text"]

    def test_wrong_types(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, n=[1, 2], t=["a", "b"], x=[[1.0], [2.0]])
        for role, column, words in [
            ("text", "n", "'n' holds int64; expected strings"),
            ("image", "n", "'n' holds int64; expected paths or encoded pictures"),
            ("array", "t", "'t' holds string; expected numbers"),
            ("label", "x", "'x' holds list.*; expected strings or numbers"),
        ]:
            with pytest.raises(DataError, match=words):
                open_collection(path, roles={role: column})

    def test_damaged(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, t=["abc" * 100, "b" * 1000, "c" * 500])
        whole = path.read_bytes()
        path.write_bytes(whole[:-10])
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            open_collection(path)
        path.write_bytes(whole[:4] + bytes(60) + whole[64:])
        with pytest.raises(DataError, match="is damaged"):
            open_collection(path)
        path.write_bytes(b"")
        with pytest.raises(DataError, match="cannot be read as Parquet"):
            open_collection(path)

    def test_no_rows(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="a has 0 rows"):
            open_collection(self.write(tmp_path, t=pa.array([], pa.string())))


class TestNumpy:
    def test_arrays(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
        collection = open_collection(tmp_path / "a.npy", label=["x", "y", "x"])
        assert collection["array"].values.tolist() == [[0, 1], [2, 3], [4, 5]]
        assert collection.roles() == ["array", "label"]
        np.save(tmp_path / "p.npy", np.full((3, 4, 4), 9, np.uint8))
        assert reds(open_collection(tmp_path / "p.npy")) == [9, 9, 9]

    def test_archives(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x=np.eye(3), y=np.array([1, 0, 1]))
        collection = open_collection(tmp_path / "a.npz")
        assert collection["array"].values.tolist() == np.eye(3).tolist()
        assert collection.label is not None
        assert collection.label.names == ["0", "1"]
        np.savez(tmp_path / "b.npz", p=np.eye(3), q=np.ones((3, 2)), who=np.array([4, 4, 5]))
        with pytest.raises(DataError, match=r"holds the arrays p, q, who. .*--array NAME"):
            open_collection(tmp_path / "b.npz")
        collection = open_collection(tmp_path / "b.npz", roles={"array": "q"}, group="who")
        assert collection["array"].values.shape == (3, 2)
        assert collection.groups is not None
        assert collection.groups.tolist() == [0, 0, 1]
        with pytest.raises(DataError, match="no array 'z'; it has p, q, who"):
            open_collection(tmp_path / "b.npz", roles={"array": "z"})

    def test_rows_that_are_not_finite(self, tmp_path: Path) -> None:
        values = np.ones((200, 2))
        values[7, 1] = np.nan
        np.save(tmp_path / "a.npy", values)
        collection = open_collection(tmp_path / "a.npy")
        assert (len(collection), collection.skipped[0].id) == (199, "7")
        values[:3, 0] = np.inf
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(DataError, match="4 of 200 items"):
            open_collection(tmp_path / "a.npy")

    def test_nothing_is_unpickled(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
        np.savez(tmp_path / "b.npz", x=np.array([{}], object))
        for name in ("a.npy", "b.npz"):
            with pytest.raises(DataError, match="pickles, which are refused"):
                open_collection(tmp_path / name)

    def test_damaged_and_misshapen(self, tmp_path: Path) -> None:
        for name, content in (("a.npy", b""), ("a.npz", b"PK\x03\x04 no"), ("b.npy", b"\x93NUMPY")):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match="cannot be read as NumPy"):
                open_collection(tmp_path / name)
        np.save(tmp_path / "c.npy", np.ones(3))
        with pytest.raises(DataError, match=r"an array \(3,\) of float64; expected numbers in rows and columns"):
            open_collection(tmp_path / "c.npy")


class TestSavedDataset:
    def test_with_splits_classes_and_pictures(self, tmp_path: Path) -> None:
        datasets = pytest.importorskip("datasets")
        features = datasets.Features(
            {"image": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"]), "n": datasets.Value("int64")}
        )

        def part(values: list[int]) -> object:
            rows = {"image": [{"bytes": encoded(v), "path": None} for v in values], "kind": [v % 2 for v in values]}
            return datasets.Dataset.from_dict(rows | {"n": values}, features=features)

        both = datasets.DatasetDict({"train": part([1, 2, 3, 4]).select([3, 0, 1]), "test": part([5])})
        both.save_to_disk(str(tmp_path / "saved"))
        collection = open_collection(tmp_path / "saved")
        assert reds(collection) == [4, 1, 2, 5]
        assert collection.label is not None
        assert (collection.label.names, collection.label.codes.tolist()) == (["cat", "dog"], [0, 1, 0, 1])
        assert {split: rows.tolist() for split, rows in collection.splits.items()} == {"train": [0, 1, 2], "test": [3]}
        part([1, 2]).save_to_disk(str(tmp_path / "one"))
        assert open_collection(tmp_path / "one", id="n").ids == ["1", "2"]

    def test_damaged(self, tmp_path: Path) -> None:
        pytest.importorskip("datasets")
        (tmp_path / "dataset_dict.json").write_text("{")
        with pytest.raises(DataError, match="cannot be read as a Hugging Face dataset"):
            open_collection(tmp_path)

    def test_missing_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        from unalike.errors import MissingExtra

        monkeypatch.setitem(sys.modules, "datasets", None)
        (tmp_path / "dataset_dict.json").write_text("{}")
        with pytest.raises(MissingExtra, match=r"unalike\[hub\]"):
            open_collection(tmp_path)


class TestMemory:
    def test_a_collection_is_returned_as_it_is(self) -> None:
        collection = Collection({"text": TextColumn(["a"])}, name="a")
        assert open_collection(collection) is collection

    def test_lists(self, tmp_path: Path) -> None:
        folder = fill(tmp_path, 2)
        paths = [folder / "000.png", folder / "001.png"]
        assert open_collection(paths).ids == [str(path) for path in paths]
        assert open_collection([*paths, paths[0]]).ids == ["0", "1", "2"]
        for images in (
            paths,
            [str(path) for path in paths],
            [path.read_bytes() for path in paths],
            [Image.open(path) for path in paths],
            [np.full((2, 2), value, np.uint8) for value in (0, 1)],
            np.stack([np.full((2, 2, 3), value, np.uint8) for value in (0, 1)]),
            (path for path in paths),
        ):
            assert reds(open_collection(images)) == [0, 1]
        assert reds(open_collection([Path("001.png")], base=folder)) == [1]
        assert reds(open_collection(Image.new("RGB", (2, 2), (5, 0, 0)))) == [5]
        assert open_collection(["a", "b"]).roles() == ["text"]
        assert open_collection(["a.png is a name", "b"]).roles() == ["text"]
        assert open_collection([[1, 2], [3, 4]])["array"].values.tolist() == [[1, 2], [3, 4]]
        assert list(open_collection(np.array(["a", "b"]))["text"]) == ["a", "b"]

    def test_mapping(self) -> None:
        collection = open_collection({"text": ["a", "b"], "array": np.eye(2), "label": [1, 2]}, id=["u", "v"], name="x")
        assert collection.roles() == ["text", "array", "label"]
        assert collection.ids == ["u", "v"]
        with pytest.raises(DataError, match="text has 1, array has 2"):
            open_collection({"text": ["a"], "array": np.eye(2)})
        with pytest.raises(DataError, match="no kind of column 'smell'"):
            open_collection({"smell": ["a"]})

    def test_tensors(self) -> None:
        torch = pytest.importorskip("torch")
        assert open_collection(torch.eye(2))["array"].values.tolist() == [[1, 0], [0, 1]]

    def test_data_frame(self) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"t": ["a", None, "c"], "y": [1.0, float("nan"), 2.0]}, index=[5, 6, 7])
        collection = open_collection(frame, label="y", name="frame")
        assert list(collection["text"]) == ["a", "c"]
        assert collection.label is not None
        assert collection.label.names == ["1", "2"]
        with pytest.raises(DataError, match="mixed types"):
            open_collection(pandas.DataFrame({"t": ["a", 1, b"c"]}))

    def test_what_is_nothing(self) -> None:
        for source, words in [
            (5, "a int is nothing that can be opened"),
            ([object()], "a list of object is of no known kind"),
            (["a", 1], "a list of int, str"),
            ([], "0 rows; at least 1 are needed"),
            ([None, ""], "0 rows; at least 1"),
            (np.ones(3), r"expected numbers in rows and columns"),
        ]:
            with pytest.raises(DataError, match=words):
                open_collection(source)
        with pytest.raises(DataError, match="roles name the columns of a table"):
            open_collection(["a"], roles={"text": "a"})
        with pytest.raises(DataError, match="label='kind' names a column"):
            open_collection(["a"], label="kind")
        with pytest.raises(DataError, match="text has 2, label has 1"):
            open_collection(["a", "b"], label=["x"])


class TestPaths:
    def test_unknown(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(
            DataError, match=r"emojy is no file and no folder, nor is it a data set .*Accepted: a folder"
        ):
            open_collection("emojy")
        with pytest.raises(DataError, match=r"no path that can be opened|no file and no folder"):
            open_collection("x" * 5000)
        with pytest.raises(DataError, match=r"no path that can be opened|no file and no folder"):
            open_collection("a\0b")
        (tmp_path / "link.csv").symlink_to("gone.csv")
        with pytest.raises(DataError, match=r"link.csv is a link to gone.csv, which is not there"):
            open_collection("link.csv")
        (tmp_path / "a.docx").write_text("x")
        with pytest.raises(DataError, match=r"the ending '.docx' says nothing"):
            open_collection(tmp_path / "a.docx")


def test_columns_are_those_of_the_room(tmp_path: Path) -> None:
    fill(tmp_path / "a", 1)
    fill(tmp_path / "b", 1)
    collection = open_collection(tmp_path)
    assert isinstance(collection["image"], ImageColumn)
    assert isinstance(collection["label"], LabelColumn)
