"""The command line as a stranger types it."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import in_a_process, unalike
from PIL import Image

from unalike.cli import main
from unalike.cli.fit import example_query
from unalike.cli.main import COMMANDS, GROUPS
from unalike.cli.tables import first_line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with pictures in two sub-folders and a table of captions."""
    folder = tmp_path_factory.mktemp("place")
    generator = np.random.default_rng(1)
    lines = ["path,caption"]
    for name, shade in (("dark", 40), ("bright", 200)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(16):
            pixels = generator.integers(0, 55, (20, 20, 3)) + shade
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / name / f"{number}.png")
            lines.append(f"photos/{name}/{number}.png,{name} square number {number}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder


SHORT = ("--steps", "6", "--batch-size", "8", "--size", "16", "--device", "cpu")


@pytest.fixture(scope="module")
def run(place: Path) -> str:
    unalike(
        "fit",
        "pairs.csv",
        "--image",
        "path",
        "--text",
        "caption",
        "--system",
        "clip",
        "--out",
        "runs/x",
        *SHORT,
        cwd=place,
    )
    return "runs/x"


def test_help_needs_no_torch_and_no_half_second(place: Path) -> None:
    code = "import sys; from unalike.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    times = []  # CPU seconds: others may use the machine meanwhile
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = in_a_process("--help", cwd=place)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5
    for purpose, commands in GROUPS.items():
        listed = text.partition(f"\n{purpose}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  (\w+) ", listed, re.MULTILINE) == list(commands)
    folder = Path(in_a_process.__code__.co_filename).parents[1] / "src/unalike/cli"
    shared = {"__init__", "arguments", "console", "main", "processes", "progress", "tables"}
    assert {path.stem for path in folder.glob("*.py")} == shared | set(COMMANDS), "a command is a file and a line"


def test_help_of_a_command_shows_the_settings_of_its_system(place: Path) -> None:
    text = unalike("fit", "--system", "simclr", "--help", cwd=place)
    assert "--temperature" in text
    assert "--learning-rate" in text
    assert "--temperature" not in unalike("fit", "--help", cwd=place)


def test_help_of_every_command_is_free_of_what_says_nothing(capsys: pytest.CaptureFixture) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        told = capsys.readouterr().out
        assert stop.value.code == 0
        assert "--no-no-" not in told
        own = told.partition("training options")[0]  # those take what is not given from the system's recipe
        assert "default: None" not in " ".join(own.split())


def test_long_texts_are_shortened_in_a_table() -> None:
    assert first_line("a bell\n  that rings") == "a bell that rings"
    assert first_line("word " * 300_000) == "word " * 39 + "word…"
    assert len(first_line("x" * 10**6)) == 200


def test_a_folder_of_pictures(place: Path) -> None:
    text = unalike(
        "fit", "photos/", "--system", "simclr", "--temperature", "0.3", "--out", "runs/photos", *SHORT, cwd=place
    )
    assert "simclr on 32 rows of photos, into runs/photos" in text
    assert "knn_accuracy/image" in text
    assert "Report: runs/photos/report.html" in text
    record = json.loads((place / "runs/photos/run.json").read_text())
    assert record["spec"]["settings"]["temperature"] == 0.3


def test_search_prints_a_table_and_writes_a_page(place: Path, run: str) -> None:
    text = unalike("search", run, "dark square number 3", "-k", "4", "--html", "hits.html", cwd=place)
    assert text.splitlines()[0].split() == ["rank", "score", "id", "text"]
    assert len([line for line in text.splitlines() if "square number" in line]) == 4
    page = (place / "hits.html").read_text()
    assert page.count("data:image") >= 4
    found = [
        unalike("search", run, "photos/dark/5.png", "-k", "1", *by, cwd=place)
        for by in ((), ("--by", "image"), ("--by", "picture"))
    ]
    assert "dark square number 5" in found[0]
    assert len(set(found)) == 1, "the name of old is taken still"
    as_text = unalike("search", run, "photos/dark/5.png", "-k", "1", "--by", "text", cwd=place)
    assert as_text == unalike("search", run, "photos/dark/5.png", "-k", "1", "--by", "words", cwd=place) != found[0]


def test_embed_writes_parquet(place: Path, run: str) -> None:
    text = unalike("embed", run, "photos", "--out", "more.parquet", cwd=place)
    assert "image: 32 x 256, written to more.parquet" in text
    assert pq.read_table(place / "more.parquet").num_rows == 32
    told = unalike("embed", run, "photos", "--out", "vectors.csv", cwd=place, code=2)
    assert "written as Parquet" in " ".join(told.split())


def test_evaluate_with_and_without_other_data(place: Path, run: str) -> None:
    own = unalike("evaluate", run, cwd=place)
    assert "recall@1/image>text" in own
    other = unalike("evaluate", run, "--data", "pairs.csv", "--json", "scores.json", cwd=place)
    assert "recall@10/text>image" in other
    scores = {score["name"]: score for score in json.loads((place / "scores.json").read_text())}
    assert scores["recall@1/image>text"]["n"] == 32


def test_report_is_written_again(place: Path, run: str) -> None:
    before = (place / run / "report.html").read_bytes()
    assert unalike("report", run, cwd=place).strip().endswith("report.html")
    assert (place / run / "report.html").read_bytes() == before


def test_systems_and_cards(place: Path) -> None:
    assert "barlow-twins" in unalike("systems", "--modality", "image", cwd=place)
    assert "simcse" not in unalike("systems", "--modality", "image", cwd=place)
    card = unalike("systems", "byol", cwd=place)
    assert "arXiv 2006.07733" in card
    assert "table 5b" in card


def test_data_sets_and_cards(place: Path) -> None:
    text = unalike("data", cwd=place)
    for name in ("emoji", "wordnet", "digits", "tuxpaint"):
        assert name in text
    assert "licence" in unalike("data", "emoji", cwd=place)
    assert "label:family: its family" in unalike("data", "glyph", cwd=place), "no word becomes a picture"


def test_version_names_what_computes_the_scores(place: Path) -> None:
    assert "scores by" in unalike("--version", cwd=place)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a command, such as unalike fit"),
        (("fly",), "there is no command 'fly'; there are: fit, adapt, predict, search"),
        (("fitt",), "there is no command 'fitt'. Did you mean unalike fit?"),
        (("serach", "runs/x"), "Did you mean unalike search?"),
        (("photos",), "Did you mean unalike fit photos?"),
        (("runs/x",), "Did you mean unalike search runs/x?"),
        (("--system", "dcl"), "the command comes first, its options after it; given: --system"),
    ],
)
def test_a_missing_or_wrong_command_is_answered_with_the_nearest(
    place: Path, run: str, words: tuple[str, ...], message: str
) -> None:
    text = unalike(*words, cwd=place, code=2)
    assert text.startswith("error:") == bool(words), "without any word the help comes first"
    assert message in " ".join(text.split())


def test_the_help_of_a_command_has_three_ways(place: Path) -> None:
    asked = [unalike(*words, cwd=place) for words in (("embed", "--help"), ("embed", "-h"), ("help", "embed"))]
    assert "usage: unalike embed" in asked[0]
    assert len(set(asked)) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit",), "unalike fit needs data"),
        (("fit", "nowhere"), "nowhere"),
        (("fit", "photos", "--system", "simclear"), "Did you mean 'simclr'"),
        (("fit", "pairs.csv"), "--image COLUMN"),
        (("fit", "pairs.csv", "--image"), "--image needs the name of a column"),
        (("fit", "pairs.csv", "--image", "file", "--text", "caption"), "file"),
        (("search", "photos", "x"), "is no run directory"),
        (("systems", "--modality", "smell"), "no system of the modality 'smell'"),
        (("data", "get"), "unalike data get NAME"),
        (("data", "emojy"), "there is no data set 'emojy'; there are emoji"),
    ],
)
def test_mistakes_are_explained_in_one_message(place: Path, words: tuple[str, ...], message: str) -> None:
    text = unalike(*words, cwd=place, code=2)
    assert text.startswith("error:")
    assert message in " ".join(text.split())


def test_unknown_flag_is_refused(place: Path) -> None:
    text = unalike("fit", "photos", "--learnign-rate", "1", cwd=place, code=2)
    assert "learnign-rate" in text


def test_interrupted_run_says_how_to_go_on_and_ends_with_the_same_bits(place: Path) -> None:
    common = ("--system", "simclr", "--steps", "150", "--batch-size", "8", "--size", "16", "--device", "cpu")
    unalike("fit", "photos", *common, "--out", "runs/whole", cwd=place)
    process = subprocess.Popen(
        [sys.executable, "-m", "unalike", "fit", "photos", *common, "--out", "runs/cut"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    metrics = place / "runs/cut/metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 130, text
    assert "unalike fit --resume runs/cut" in text
    assert "unfinished" in unalike("search", "runs/cut", "x", cwd=place, code=2)
    unalike("fit", "--resume", "runs/cut", cwd=place)
    for name in ("weights.safetensors", "vectors.safetensors", "metrics.jsonl", "scores.json"):
        assert (place / "runs/cut" / name).read_bytes() == (place / "runs/whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([" ", None, "a boat\nwith a sail"], '"a boat"'),
        (["  \n", None], "'row 1'"),
        (["x" * 200], f'"{"x" * 80}"'),
        (["word " * 40], f'"{("word " * 16).strip()}"'),
        (['a "boat" for $5'], "'a \"boat\" for $5'"),
    ],
)
def test_the_example_of_a_query_is_one_short_line(texts, expected):
    run = SimpleNamespace(kinds=["text"], items=SimpleNamespace(texts=texts, ids=["row 1"]))
    assert example_query(run) == expected


def test_a_search_imports_only_what_it_needs(place: Path, run: str) -> None:
    code = (
        "import sys; from unalike.cli import main; main(['search', sys.argv[1], 'photos/dark/5.png', '-k', '1'])\n"
        "print(*sys.modules)"
    )
    words = [sys.executable, "-c", code, run]
    done = subprocess.run(words, cwd=place, check=True, capture_output=True, text=True)
    assert "dark square number 5" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "unalike.systems.image_text.clip" in loaded
    assert not loaded & {"sklearn", "scipy", "transformers", "matplotlib", "jinja2", "unalike.systems.image.dcl"}
