"""CSV files of other programs: separators, quotes, paths and words for what is missing."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from unalike.data import open_collection
from unalike.data.cells import NoNumber, as_numbers
from unalike.data.csv_tables import CsvTable
from unalike.errors import DataError


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "fotos" / "cafés"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (4, 4), (50 * number, 0, 0)).save(folder / f"{number}.png")
    return tmp_path


PATH = "fotos/cafés/%d.png"


@pytest.mark.parametrize(
    ("head", "row", "text"),
    [
        ("path|caption", f"{PATH}|red %d", "red 1"),
        ("path\tcaption", f"{PATH}\tred %d", "red 1"),
        ("path;caption", f"{PATH};red, %d", "red, 1"),
        ("sep=;\npath;caption", f"{PATH};red %d", "red 1"),
        ('"sep=|"\r\npath|caption', f"{PATH}|red %d", "red 1"),
        ("path, caption", f"{PATH}, red %d", "red 1"),
        ("path, caption", f'{PATH}, "red, %d"', "red, 1"),
        ("path , caption", f'"{PATH}" , "red ""%d"""', 'red "1"'),
        ("path,caption", f'{PATH}, "red, %d"', "red, 1"),
        ("sep=;\npath; caption", f"{PATH}; red %d", "red 1"),
        ("path,caption", f'{PATH},"a \\"red\\" %d, big"', 'a "red" 1, big'),
        ("path,caption", f'{PATH},"%d said \\"hi\\", and \\"\\""', '1 said "hi", and ""'),
        ("path,caption", f'{PATH},"red, \\\\ %d \\"x\\""', 'red, \\ 1 "x"'),
        ("path,caption", f'{PATH},"a ""red"" %d\nbig"', 'a "red" 1\nbig'),
        ("path,caption", "fotos\\cafés\\%d.png,red %d", "red 1"),
        ("path,caption", '"fotos\\cafés\\%d.png","red %d"', "red 1"),
        ("path,caption", unicodedata.normalize("NFD", PATH) + ",red %d", "red 1"),
        ("path,caption", unicodedata.normalize("NFC", PATH) + ",red %d", "red 1"),
        ("\ufeffpath,caption", f"{PATH},red %d", "red 1"),
    ],
)
def test_pictures_and_texts_of_any_dialect(album: Path, head: str, row: str, text: str) -> None:
    rows = "".join(f"{row % (number, number)}\n" for number in range(3))
    (album / "table.csv").write_text(f"{head}\n{rows}", encoding="utf-8", newline="")
    opened = open_collection(album / "table.csv", roles={"image": "path", "text": "caption"})
    assert len(opened) == 3 and opened["text"][1] == text
    assert opened["image"][1].getpixel((0, 0)) == (50, 0, 0)


def test_a_path_in_quotes_that_ends_in_a_backslash_is_no_escape(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('folder,size\n"C:\\new\\",1\n"D:\\old\\",2\n')
    read = CsvTable(tmp_path / "a.csv").read({"folder": "strings"})
    assert read["folder"].to_pylist() == ["C:\\new\\", "D:\\old\\"]


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_odd_dialects_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text('name, size\n"é \\"x\\"", 1\n', encoding=encoding)
    read = CsvTable(tmp_path / "a.csv", encoding).read({"name": "strings", "size": "numbers"})
    assert read.to_pylist() == [{"name": 'é "x"', "size": 1.0}]


def test_a_wrong_encoding_of_an_odd_dialect_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("name, size\né, 1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8 \(byte 0xe9 at offset 11, line 2\)"):
        CsvTable(tmp_path / "a.csv")


@pytest.mark.parametrize("missing", ["NA", "n/a", "null", "?", "-", "NaN", "", " NULL "])
def test_words_for_missing_numbers(tmp_path: Path, missing: str) -> None:
    (tmp_path / "a.csv").write_text(f"a,b\n1,2\n{missing},3\n-4,5\n")
    opened = open_collection(tmp_path / "a.csv", tolerance=0.5)
    assert opened["array"].values.tolist() == [[1, 2], [-4, 5]]
    assert opened.skipped[0].reason == "a number is missing or not finite"


def test_the_same_words_are_texts_in_a_column_of_texts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("country\nNA\nnull\n-\nDE\n")
    assert list(open_collection(tmp_path / "a.csv")["text"]) == ["NA", "null", "-", "DE"]


def test_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n0,5;1\n-1,25;2,0\n3;1e3\n")
    assert open_collection(tmp_path / "a.csv")["array"].values.tolist() == [[0.5, 1], [-1.25, 2], [3, 1000]]
    (tmp_path / "a.csv").write_text("a;b\n0,5;1\n1.5;2\n")
    with pytest.raises(DataError, match=r"'a' is wanted as numbers, but holds '0,5' in line 2.*or NA for a missing"):
        open_collection(tmp_path / "a.csv", roles={"array": "a,b"})


def test_points_and_commas_are_not_mixed_up() -> None:
    assert as_numbers(pa.array(["1.5", "2"]), decimal_comma=True).to_pylist() == [1.5, 2.0]
    for wrong in ("1,5", "1.234,5", "one"):
        with pytest.raises(NoNumber) as told:
            as_numbers(pa.array(["1.5", wrong]), decimal_comma=True)
        assert (told.value.row, told.value.value) == (1, wrong)


def test_files_that_everybody_reads_are_read_as_before(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(200, 3))
    np.savetxt(tmp_path / "a.csv", values, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    assert np.array_equal(open_collection(tmp_path / "a.csv")["array"].values, values.astype(np.float32))
