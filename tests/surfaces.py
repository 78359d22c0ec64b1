"""What a stranger may hand in, generated: each surface with a way to make inputs and a way to take them.

A surface takes one input and must return, or raise one of the package's own errors; anything else is a defect. Inputs
are bytes, or what JSON can hold, so that one that once failed is kept as a file under ``tests/corpus/SURFACE/``.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import every_objective
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image

import unalike
from unalike import training
from unalike.data import ArrayColumn, Collection, ImageColumn, TextColumn, open_collection
from unalike.data.gathering import Source
from unalike.errors import UnalikeError
from unalike.files import SEAL, write_sealed
from unalike.runs.plan import plan

SECONDS = 5.0
"""No input may take longer."""


class TooSlow(Exception):
    """An input took longer than it may."""


@dataclass(frozen=True)
class Surface:
    """Inputs and what takes them."""

    inputs: st.SearchStrategy[Any]
    take: Callable[[Any], None]
    suffix: str = ".bin"


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` inside after so many seconds."""

    def strike(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survive(name: str, given: Any) -> str:
    """Hand an input to a surface; say whether it was ``taken`` or ``refused``. Other errors come out."""
    try:
        with limited(SECONDS):
            SURFACES[name].take(given)
    except UnalikeError as error:
        assert str(error).strip(), "an error without words"
        return "refused"
    return "taken"


@st.composite
def mutated(draw: st.DrawFn, sources: Callable[[], list[bytes]], text: bool = False) -> bytes:
    """A sound file with some bytes changed, dropped, doubled or put in; or cut short. Text mostly stays text."""
    content = bytearray(draw(st.sampled_from(sources())))
    letters = text and draw(st.integers(0, 4)) > 0
    byte = st.sampled_from(b'\n",;:{}[]0a. ') if letters else st.integers(0, 255)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        what = draw(st.sampled_from(("change", "drop", "double", "insert", "cut")))
        if what == "change" and content:
            content[at] = draw(byte)
        elif what == "drop":
            del content[at : at + draw(st.integers(1, 16))]
        elif what == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 64))]
        elif what == "insert":
            content[at:at] = bytes(draw(st.lists(byte, min_size=1, max_size=8)))
        elif what == "cut" and draw(st.booleans()):
            del content[at:]
    return bytes(content)


# Tables.

CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "NaN", "nan", "-inf", "1e999", "0", "-1", "1.5", "true", "null", "\x00", '"', "'", "☃", "é"]
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
)
ROLES = ({}, {"text": "text"}, {"text": "text", "array": "x"}, {"image": "path"}, {"array:target": "x", "text": "text"})


def table_path(content: bytes, suffix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"table{suffix}"
        path.write_bytes(content)
        yield path


def take_table(suffix: str) -> Callable[[bytes], None]:
    """Read a table in several roles and everything in it."""

    def take(content: bytes) -> None:
        roles = ROLES[sum(content[-4:]) % len(ROLES)]
        for path in table_path(content, suffix):
            look_at(open_collection(path, roles=roles, label="label" if len(content) % 2 else None, tolerance=1.0))

    return take


def look_at(collection: Collection) -> None:
    """Read some entries of every role, as an encoder does."""
    from unalike.data import iter_decoded

    for column in collection.columns.values():
        few = column.select(np.arange(min(len(column), 16)))
        few.fingerprint()
        if isinstance(few, ImageColumn):
            list(iter_decoded(few))
        else:
            [few[row] for row in range(len(few))]
    collection.fingerprint()


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(mutated(csv_sources, text=True))
    names = draw(
        st.sampled_from([["text", "x", "label", "path"], ["text", "x", "label"], ["text"], ["text", "text"], []])
    )
    ragged = draw(st.booleans())
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=draw(st.sampled_from(",;\t")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerow(names)
    for _ in range(draw(st.integers(0, 8))):
        spare = draw(st.integers(-1, 1)) if ragged else 0
        writer.writerow(
            draw(st.lists(CELLS, min_size=len(names) + spare, max_size=len(names) + spare)) if names else []
        )
    encodings = ["utf-8"] * 4 + ["utf-16", "latin-1", "utf-8-sig"]
    return file.getvalue().encode(draw(st.sampled_from(encodings)), "replace")


@cache
def csv_sources() -> list[bytes]:
    plain = "text,x,label,path\n" + "".join(f'"a, {i}",{i}.5,{"uv"[i % 2]},p/{i}.png\n' for i in range(8))
    return [plain.encode(), plain.replace(",", ";").encode("utf-16"), ('text\n"' + "a" * 300 + '\nb"\n').encode()]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def jsonl_files(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        sound = [b'{"text": "a", "x": 1.5, "label": "u", "path": "p.png"}\n' * 6, b'{"text":"\\ud800"}\n']
        return draw(mutated(lambda: sound, text=True))
    rows = draw(
        st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("text", "x", "label", "path"), JSONS)), max_size=6)
    )
    return "\n".join(json.dumps(row) for row in rows).encode()


@cache
def parquet_sources() -> list[bytes]:
    found = []
    for compression in ("none", "snappy", "zstd"):
        table = pa.table(
            {
                "text": ["a", None, "b" * 40, "c"],
                "x": [1.0, float("nan"), None, 3.0],
                "label": pa.array(["u", "v", "u", None]).dictionary_encode(),
                "path": [b"\x89PNG", None, b"", b"x"],
            }
        )
        file = io.BytesIO()
        pq.write_table(table, file, compression=compression)
        found.append(file.getvalue())
    return found


@cache
def numpy_sources() -> list[bytes]:
    found = []
    for array in (np.eye(4, dtype=np.float32), np.arange(6), np.array(["a", "b"]), np.zeros((2, 3, 4), np.float64)):
        file = io.BytesIO()
        np.save(file, array)
        found.append(file.getvalue())
    return found


def take_numpy(content: bytes) -> None:
    for path in table_path(content, ".npy"):
        look_at(open_collection(path, tolerance=1.0))


# Pictures.


@cache
def picture_sources() -> list[bytes]:
    found = []
    generator = np.random.default_rng(0)
    for mode, kind in (
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("P", "GIF"),
        ("RGBA", "WEBP"),
        ("L", "BMP"),
        ("I;16", "TIFF"),
        ("1", "PPM"),
    ):
        pixels = Image.fromarray(generator.integers(0, 256, (9, 7, 3), np.uint8))
        file = io.BytesIO()
        (
            pixels if mode == "RGB" else pixels.convert("L").convert(mode) if mode == "I;16" else pixels.convert(mode)
        ).save(file, kind)
        found.append(file.getvalue())
    return found


def take_picture(content: bytes) -> None:
    from unalike.data.images import decode, read_header

    for read in (read_header, decode):
        with contextlib.suppress(UnalikeError):
            read(content)
    look_at(open_collection([content, picture_sources()[0]], tolerance=1.0))


# Recordings and clips.


@cache
def recording_sources() -> list[bytes]:
    import soundfile

    found = []
    waves = np.sin(np.arange(4000)[:, None] / np.array([5.0, 9.0])) * 0.5
    for kind, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("MP3", None)):
        for channels in (1, 2):
            file = io.BytesIO()
            soundfile.write(file, waves[:, :channels], 16000 if channels == 1 else 22050, subtype, format=kind)
            found.append(file.getvalue())
    return found


def take_recording(content: bytes) -> None:
    from unalike.data.sound import decode_sound, read_header

    suffix = (".wav", ".flac", ".ogg", ".mp3")[sum(content[-4:]) % 4]
    for path in table_path(content, suffix):
        for read in (read_header, decode_sound):
            with contextlib.suppress(UnalikeError):
                read(path)
        decode_sound(path, seconds=0.1)


@cache
def clip_sources() -> list[bytes]:
    import av

    found = []
    frames = [Image.effect_noise((32, 32), 64).convert("RGB") for _ in range(6)]
    for kind in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        found.append(file.getvalue())
    for kind, codec in (("mp4", "mpeg4"), ("avi", "mjpeg"), ("matroska", "ffv1")):
        with tempfile.TemporaryDirectory() as place:
            with av.open(f"{place}/clip", "w", format=kind) as film:
                stream = film.add_stream(codec, rate=12)
                stream.width = stream.height = 32
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                for frame in frames:
                    film.mux(stream.encode(av.VideoFrame.from_image(frame)))
                film.mux(stream.encode())
            found.append(Path(f"{place}/clip").read_bytes())
    return found


def take_clip(content: bytes) -> None:
    from unalike.data.clips import iter_frames

    suffix = ".gif" if content[:4] in (b"GIF8", b"RIFF", b"\x89PNG") and sum(content[-4:]) % 8 else ".mp4"
    for path in table_path(content, suffix):
        for _ in iter_frames(path, max_pixels=1 << 16, most=64):
            pass


# Runs.


@cache
def small_run() -> unalike.Run:
    """A run on ten rows, kept while the process lives."""
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    return unalike.fit(rows, steps=2, batch_size=8, out=Path(tempfile.mkdtemp()) / "run", device="cpu")


@cache
def pairs_run() -> unalike.Run:
    """A run on pictures with texts."""
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(12)]
    data = Collection(
        {"image": ImageColumn(pictures), "text": TextColumn([f"row {i}" for i in range(12)])}, name="pairs"
    )
    return unalike.fit(data, steps=2, batch_size=8, size=8, out=Path(tempfile.mkdtemp()) / "run", device="cpu")


def is_strict(value: Any) -> bool:
    """Whether JSON proper can hold a value: it knows no NaN and no infinity."""
    with contextlib.suppress(ValueError):
        return bool(json.dumps(value, allow_nan=False))
    return False


@st.composite
def records(draw: st.DrawFn) -> Any:
    """A run's record in which something was put in another's place or is gone."""
    record = json.loads((small_run().folder / "run.json").read_text())
    for _ in range(draw(st.integers(1, 3))):
        here: Any = record
        while isinstance(here, dict) and here:
            key = draw(st.sampled_from(sorted(here)))
            if not isinstance(here[key], dict) or draw(st.integers(0, 3)) == 0:
                if draw(st.booleans()):
                    here[key] = draw(JSONS.filter(is_strict))
                else:
                    del here[key]
                break
            here = here[key]
    return record


def take_record(record: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        copy = Path(shutil.copytree(small_run().folder, Path(place) / "run"))
        # With a sound seal, as a stranger would make it.
        write_sealed(copy / "run.json", {key: value for key, value in record.items() if key != SEAL})
        run = unalike.load(copy)
        run.search(run.items.ids[0], k=2)
        run.embed(np.zeros((2, 3), np.float32))
        repr(run)


QUERIES = st.fixed_dictionaries(
    {
        "query": st.text(max_size=40)
        | st.sampled_from(["", "\x00", "/", ".", "..", "~", "a" * 5000, "/dev/zero", "row 1", "0", "[red]"]),
        "k": st.integers(-3, 40),
        "by": st.sampled_from(["auto", "words", "picture", "row"]),
    }
)


def take_query(given: Any) -> None:
    for run in (pairs_run(), small_run()):
        with contextlib.suppress(UnalikeError):
            run.search(given["query"], given["k"], by=given["by"])
    pairs_run().search(given["query"], given["k"], by=given["by"])


# Settings.

WRONG = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(), st.text(max_size=5), st.just([1]))


@st.composite
def wishes(draw: st.DrawFn) -> Any:
    """What a person may ask of a fit, mostly wrong."""
    slug = draw(st.sampled_from(["simclr", "clip", "simcse", "scarf", "swav", "isogclr", "none such", ""]))
    known = ["temperature", "output", "hidden", "queue", "prototypes", "masked", "odd"]
    steps = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(training.Training.__dataclass_fields__, WRONG)))
    return {
        "system": slug,
        "settings": draw(st.dictionaries(st.sampled_from(known), WRONG, max_size=2)),
        "training": steps if draw(st.booleans()) else {},
        "encoder": draw(
            st.none()
            | st.dictionaries(
                st.sampled_from(["image", "text", "array", "x"]),
                st.sampled_from(["conv", "vit", "drawing", "ngram", "transformer", "mlp", "timm:", "st:/x", "", "x"]),
                max_size=2,
            )
        ),
        "size": draw(st.none() | st.integers(-2, 5000)),
        "views": draw(st.sampled_from(["paper", "simclr", "plain", "x", ""])),
        "unseen": draw(st.lists(st.sampled_from(["image", "text", "x"]), max_size=1)),
        "holdout": draw(st.floats()),
    }


def take_wish(given: Any) -> None:
    pixels = [np.zeros((8, 8, 3), np.uint8)] * 12
    columns = {
        "image": ImageColumn(pixels),
        "text": TextColumn([str(i) for i in range(12)]),
        "array": ArrayColumn(np.eye(12, dtype=np.float32)),
    }
    source = Source(path="memory:rows", roles={}, label=None, group=None, id=None, encoding=None, tolerance=0.0)
    plan(
        Collection(columns, name="rows"),
        source,
        system=given["system"],
        settings=given["settings"],
        training=training.Training(**given["training"]),
        encoder=given["encoder"],
        size=given["size"],
        views=given["views"],
        unseen=tuple(given["unseen"]),
        holdout=given["holdout"],
    )


# Objectives.

NUMBERS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(sorted(every_objective.OBJECTIVES)),
        "kind": st.sampled_from(every_objective.KINDS),
        "count": st.integers(1, 24),
        "width": st.integers(1, 20),
        "temperature": st.floats(1e-3, 1e2) | st.sampled_from([0.0, -1.0, float("nan"), float("inf")]),
        "dtype": st.sampled_from(["float32", "bfloat16", "float64"]),
        "seed": st.integers(0, 1000),
    }
)


def take_numbers(given: Any) -> None:
    found = every_objective.evaluate(**given)
    assert found == "finite", found


SURFACES: dict[str, Surface] = {
    "csv": Surface(csv_files(), take_table(".csv")),
    "jsonl": Surface(jsonl_files(), take_table(".jsonl")),
    "parquet": Surface(mutated(parquet_sources), take_table(".parquet")),
    "numpy": Surface(mutated(numpy_sources), take_numpy),
    "pictures": Surface(mutated(picture_sources), take_picture),
    "recordings": Surface(mutated(recording_sources), take_recording),
    "clips": Surface(mutated(clip_sources), take_clip),
    "run.json": Surface(records(), take_record, ".json"),
    "queries": Surface(QUERIES, take_query, ".json"),
    "settings": Surface(wishes(), take_wish, ".json"),
    "objectives": Surface(NUMBERS, take_numbers, ".json"),
}

CORPUS = Path(__file__).parent / "corpus"


def to_bytes(given: Any) -> bytes:
    return given if isinstance(given, bytes) else json.dumps(given, sort_keys=True).encode()


def from_bytes(name: str, content: bytes) -> Any:
    return json.loads(content) if SURFACES[name].suffix == ".json" else content
