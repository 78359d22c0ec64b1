"""A folder that holds what the pages of the documentation speak of."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from squares import COLOURS, paint

from unalike.data import open_set

ROOT = Path(__file__).parents[2]


def lay_clips(folder: Path) -> None:
    """clips/ and animations.csv: squares that move right or down."""
    films = runpy.run_path(str(ROOT / "tests" / "data" / "clip_files.py"))
    rows = ["path,kind"]
    for kind in ("right", "down"):
        for number in range(8):
            frames = films["moving_square"](kind, number)
            films["write_film"](folder / "clips" / kind / f"{number}.mp4", frames)
            shown = [Image.fromarray(frame) for frame in frames]
            path = folder / "animated" / f"{kind}{number}.gif"
            path.parent.mkdir(exist_ok=True)
            shown[0].save(path, save_all=True, append_images=shown[1:])
            rows.append(f"animated/{path.name},{kind}")
    (folder / "animations.csv").write_text("\n".join(rows) + "\n")


def lay_series(folder: Path) -> None:
    """series/, long.csv and wide.csv: waves of two paces."""
    generator = np.random.default_rng(0)
    long, wide = ["machine,time,heat,load,state"], [",".join(f"t{t}" for t in range(8)) + ",state"]
    for kind, pace in (("walk", 9), ("run", 4)):
        for number in range(10):
            wave = np.sin((np.arange(18 + number) + number) * 6.28 / pace) + 0.1 * generator.normal(size=18 + number)
            path = folder / "series" / kind / f"{number}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(["time,heat", *(f"{t},{value:.4f}" for t, value in enumerate(wave))]))
            long += [f"{kind}{number},{t},{value:.4f},{1 - value:.4f},{kind}" for t, value in enumerate(wave)]
            wide.append(",".join(f"{value:.4f}" for value in wave[:8]) + f",{kind}")
    for name, lines in (("long", long), ("wide", wide)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "new").mkdir()
    waves = [(t, np.sin((t + 0.5) * 6.28 / 9)) for t in range(20)]
    (folder / "new" / "heat.csv").write_text("\n".join(["time,heat", *(f"{t},{value:.4f}" for t, value in waves)]))
    lines = ["load,heat", *(f"{1 - value:.4f},{value:.4f}" for _, value in waves)]
    (folder / "new" / "machine.csv").write_text("\n".join(lines))


def lay_recordings(folder: Path) -> None:
    """recordings/: tones of two pitches."""
    import soundfile

    time = np.arange(8000) / 16_000
    for kind, hertz in (("low", 200), ("high", 900)):
        (folder / "recordings" / kind).mkdir(parents=True)
        for number in range(12):
            tone = 0.3 * np.sin(2 * np.pi * (hertz + 5 * number) * time)
            soundfile.write(folder / "recordings" / kind / f"{number}.wav", tone, 16_000)


def lay_graph(folder: Path) -> None:
    """nodes.csv and edges.csv: words that are mostly joined to words of their own kind."""
    generator = np.random.default_rng(0)
    kinds = {"fruit": "apple pear plum", "tool": "hammer saw nail", "sea": "wave salt tide"}
    owner = [list(kinds)[number % 3] for number in range(60)]
    nodes = [f"n{i},{' '.join(generator.choice(kinds[kind].split(), 3))},{kind}" for i, kind in enumerate(owner)]
    pairs = [
        (i, j) for i, j in generator.integers(60, size=(400, 2)) if owner[i] == owner[j] or generator.random() < 0.1
    ]
    (folder / "nodes.csv").write_text("\n".join(["id,text,label", *nodes]) + "\n")
    (folder / "edges.csv").write_text("\n".join(["source,target", *(f"n{i},n{j}" for i, j in pairs)]) + "\n")


def lay_labels(folder: Path) -> None:
    """items.parquet and new.parquet: things of three colours, with their labels; some rows have none."""
    kinds = {"bicycle": "vehicle", "tram": "vehicle", "oak": "tree", "birch": "tree", "gull": "bird", "owl": "bird"}
    for name, count, extra in (("items", 240, []), ("new", 60, ["seen today"])):
        table: dict[str, list] = {"id": [], "description": [], "tags": []}
        for number in range(count):
            thing, colour = list(kinds)[number % 6], list(COLOURS)[number // 6 % 3]
            table["id"].append(f"r{number}")
            table["description"].append(f"a {colour} {thing}, number {number}")
            table["tags"].append([colour, thing, f"kind: {kinds[thing]}", *extra] if number % 9 else None)
        pq.write_table(pa.table(table), folder / f"{name}.parquet")


def lay_clicks(folder: Path) -> None:
    """clicks.csv and products.csv: customers go through a shelf in its order."""
    events = [
        f"c{c},p{(c + step) % 15},2026-03-{1 + step:02} 09:{c:02}" for c in range(30) for step in range(4 + c % 3)
    ]
    (folder / "clicks.csv").write_text("\n".join(["customer,product,at", *events]) + "\n")
    names = [f"p{product},Tea {product}" for product in range(15)]
    (folder / "products.csv").write_text("\n".join(["product,title", *names]) + "\n")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/, photos_test/, more/, cat.png, tables of several sorts, my-model/ and two texts."""
    folder = tmp_path_factory.mktemp("docs")
    generator = np.random.default_rng(0)

    rows, measured = ["path,caption,colour,titel,voice"], ["path,brightness"]
    for name, colour in COLOURS.items():
        for number in range(12):
            paint(folder / "photos" / name / f"{number}.png", colour, 32, generator)
            title = "" if number % 4 == 3 else f"{name}-farbenes Quadrat Nr. {number}"
            voice = "" if number % 5 == 4 else f"recordings/{'low' if name == 'red' else 'high'}/{number}.wav"
            rows.append(f"photos/{name}/{number}.png,a {name} square no. {number // 2},{name},{title},{voice}")
            measured.append(f"photos/{name}/{number}.png,{sum(colour) / 765 + number / 100:.3f}")
        for number in range(4):
            paint(folder / "photos_test" / name / f"{number}.png", colour, 32, generator)
            paint(folder / "more" / f"{name}{number}.png", colour, 32, generator)
    paint(folder / "cat.png", COLOURS["red"], 32, generator)
    (folder / "pairs.csv").write_text("\n".join(rows) + "\n")
    (folder / "measured.csv").write_text("\n".join(measured) + "\n")
    wordnet = open_set("wordnet")
    some = np.arange(0, 20000, 80)
    glosses = [wordnet["text"][int(row)] for row in some]
    lemmas = [wordnet["text:lemmas"][int(row)] for row in some]
    pq.write_table(pa.table({"body": glosses}), folder / "notes.parquet")
    lines = [json.dumps({"question": lemma, "answer": gloss}) for lemma, gloss in zip(lemmas, glosses, strict=True)]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    faq = [
        {
            "asked": f"what is {lemmas[n]}?",
            "answers": [glosses[n], f"it is {glosses[n]}"][: 1 + n % 2],
            "wrong": glosses[-n],
        }
        for n in range(1, 80)
    ]
    (folder / "faq.jsonl").write_text("\n".join(json.dumps(row) for row in faq) + "\n")
    readings = generator.normal(size=(300, 2)) @ generator.normal(size=(2, 5))
    for name, some in (("normal", readings), ("new", readings[:40] + 3), ("labelled", readings)):
        lines = ["id,a,b,c,d,e" + ",kind" * (name == "labelled")]
        for number, row in enumerate(some):
            kind = f",{'hot' if row[0] > 0 else 'cold'}" * (name == "labelled")
            lines.append(f"r{number},{','.join(f'{value:.4f}' for value in row)}{kind}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    lay_series(folder)
    lay_graph(folder)
    lay_clips(folder)
    lay_recordings(folder)
    lay_clicks(folder)
    lay_labels(folder)
    tiny = runpy.run_path(str(ROOT / "tests" / "decoding" / "tiny_models.py"))
    for part in (tiny["llama"](window=256), tiny["tokenizer"]()):
        part.save_pretrained(folder / "my-model")
    (folder / "prompts.txt").write_text("the old keeper\nthe sea is\n")
    (folder / "context.txt").write_text("the sea is red and the keeper likes the light .\n")
    return folder
