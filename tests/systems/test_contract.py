"""What every system must do, whatever it is: one test over the whole list."""

from __future__ import annotations

import ast
import atexit
import dataclasses
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from suite.change import ANY, ENCODERS

from unalike import encoders, systems, training
from unalike.checks.works import StudyWork
from unalike.claims import Job, Scale
from unalike.claims.harness import grid, measured_arms, used_arms
from unalike.cli.adapt import Adapt
from unalike.cli.arguments import Columns
from unalike.cli.audit import Audit
from unalike.cli.check import Check
from unalike.cli.fit import Fit
from unalike.cli.generate import Generate
from unalike.data import (
    ArrayColumn,
    AudioColumn,
    ClicksColumn,
    ClipColumn,
    GraphColumn,
    ImageColumn,
    LabelsColumn,
    StackColumn,
    TextColumn,
)
from unalike.errors import DataError, SettingsError
from unalike.training import Inputs, Task, Training, train
from unalike.training.stages import lay_out, spans

ROWS, SIZE = 24, 16
ALL = systems.all_systems()
METHOD, CLAIM = 100, 110
"""Lines of a system's file up to the end of ``build``, and after it."""
LEARNERS = systems.all_systems(kind="learner")
ADAPTERS = systems.all_systems(kind="adapter")
DECODERS = systems.all_systems(kind="decoder")
AUDITS = systems.all_systems(kind="audit")
STUDIES = systems.all_systems(kind="study")
COMMANDS = {
    "learner": (Fit, Columns, Training),
    "adapter": (Adapt,),
    "decoder": (Generate,),
    "audit": (Audit,),
    "study": (Check,),
}


def columns(roles: tuple[str, ...]) -> dict[str, object]:
    """Tiny columns of every role; texts and labels repeat."""
    generator = np.random.default_rng(0)
    made: dict[str, object] = {}
    for role in roles:
        kind = role.split(":")[0]
        if kind == "image":
            made[role] = ImageColumn(list(generator.integers(0, 255, (ROWS, SIZE, SIZE, 3), np.uint8)))
        elif kind == "text":
            words = ["red", "blue", "small", "large", "cat", "dog"]
            made[role] = TextColumn([f"{role} {words[i % 6]} {words[i % 4]} {i // 2}" for i in range(ROWS)])
        elif kind == "labels":
            words = ["red", "blue", "small", "large", "cat", "dog", "one thing, and another"]
            made[role] = LabelsColumn.from_values([[words[i % 7], words[i % 3], words[i % 5]] for i in range(ROWS)])
        elif kind == "graph":
            ring = np.stack([np.arange(ROWS), (np.arange(ROWS) + 1) % ROWS], axis=1)
            made[role] = GraphColumn(ring, {"array": ArrayColumn(generator.normal(size=(ROWS, 5)).astype(np.float32))})
        elif kind == "clicks":
            lengths = 3 + np.arange(ROWS) % 6
            made[role] = ClicksColumn.of_sequences(
                [[f"item {i}" for i in generator.integers(0, 9, n)] for n in lengths]
            )
        elif kind == "series":
            made[role] = StackColumn(ragged_series(generator), kind="series")
        elif kind == "video":
            made[role] = ClipColumn(animations())
        elif kind == "audio":
            made[role] = AudioColumn(recordings())
        else:
            made[role] = ArrayColumn(generator.normal(size=(ROWS, 5)).astype(np.float32))
    return made


@cache
def animations() -> list[str]:
    """Animated pictures of 5 to 8 frames, in a folder that goes with the process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    generator, paths = np.random.default_rng(0), []
    for row in range(ROWS):
        frames = [Image.fromarray(p) for p in generator.integers(0, 255, (5 + row % 4, SIZE, SIZE, 3), np.uint8)]
        paths.append(str(Path(folder.name) / f"{row}.webp"))
        frames[0].save(paths[-1], save_all=True, append_images=frames[1:], lossless=True)
    return paths


@cache
def recordings() -> list[str]:
    """Noise of half a second to two seconds at 8 kHz, in a folder that goes with the process."""
    soundfile = pytest.importorskip("soundfile")
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    generator, paths = np.random.default_rng(0), []
    for row in range(ROWS):
        paths.append(str(Path(folder.name) / f"{row}.wav"))
        soundfile.write(paths[-1], 0.1 * generator.normal(size=4000 + 500 * row), 8000)
    return paths


def ragged_series(generator: np.random.Generator) -> np.ndarray:
    """Two channels of 8 to 18 steps, with a gap in one of them."""
    values = generator.normal(size=(ROWS, 2, 18)).astype(np.float32)
    for row in range(ROWS):
        values[row, :, 18 - row % 11 :] = np.nan if row % 11 else values[row, :, 18:]
    values[0, 1, 3] = np.nan
    return values


def roles_of(system: systems.System) -> tuple[str, ...]:
    """What a system learns from; of one that takes any modalities, three of them."""
    return system.paper.roles or ANY


def make(system: systems.System, seed: int = 0) -> tuple[training.Learner, Inputs]:
    """A system on tiny encoders, and inputs for it."""
    learned = roles_of(system)
    kinds = list(dict.fromkeys(role.split(":")[0] for role in learned))
    roles = {kind: tuple(r for r in learned if r.split(":")[0] == kind) for kind in kinds}
    data = columns(learned)
    towers = {
        kind: encoders.build_encoder(
            "transformer" if system.slug == "bert" else ENCODERS[kind],
            [data[role] for role in roles[kind]],
            size=SIZE,
            seed=seed,
            **{
                "image": {"widths": (8, 16), "depths": (0, 1)},
                "text": {"vocabulary": 270, "width": 16, "depth": 1, "heads": 2, "length": 16}
                if system.slug == "bert"
                else {"buckets": 256},
                "series": {"hidden": 8, "width": 8, "depth": 2},
                "video": {"frames": 3, "length": 6, "widths": (4, 8)},
                "clicks": {"width": 16, "depth": 1, "length": 6},
                "audio": {"mels": 16, "width": 16, "depth": 2, "heads": 2, "seconds": 2.0},
            }.get(kind, {}),
        )
        for kind in kinds
    }
    task = Task(encoders=towers, roles=roles, rows=ROWS, steps=4, steps_per_epoch=3, classes=3)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        learner = system.build(system.settings(), task)
    prepared = {role: towers[role.split(":")[0]].prepare(data[role]) for role in learned}
    codes = {role: np.arange(ROWS) // 2 for role in learned if role.split(":")[0] == "text"}
    return learner, Inputs(
        prepared, codes=codes, labels=np.arange(ROWS) % 3, targets=np.arange(ROWS, dtype=np.float32) % 7
    )


def settings(system: systems.System, **options: object) -> Training:
    return Training(**{"steps": 4, "batch_size": 8, "device": "cpu"} | options).resolved(system.recipe, ROWS)  # type: ignore[arg-type]


def trained(system: systems.System, seed: int = 0, **options: object) -> tuple[training.Learner, list[float]]:
    learner, inputs = make(system, seed)
    losses: list[float] = []
    listener = training.Listener(on_step=lambda step, total, row: losses.append(row["loss"]))
    train(learner, inputs, settings(system, seed=seed, **options), listener=listener)
    return learner, losses


@pytest.mark.fast
@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_trains_a_few_steps_with_finite_loss(system: systems.System) -> None:
    _, losses = trained(system)
    assert len(losses) == 4
    assert all(math.isfinite(loss) for loss in losses)


@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_gradient_reaches_every_trainable_part(system: systems.System) -> None:
    learner, inputs = make(system)
    before = {name: value.detach().clone() for name, value in learner.module.named_parameters()}
    # Four steps a stage: a zero-initialised scale lets gradients through only after it has moved, a queue fills first.
    train(learner, inputs, settings(system, weight_decay=0.0, steps=4 * len(learner.phases)))
    for name, parameter in learner.module.named_parameters():
        if parameter.requires_grad:
            assert not torch.equal(parameter, before[name]), f"{name} has not moved"
        elif name.split(".")[0] in learner.frozen:
            assert parameter.grad is None


@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_same_seed_same_bits(system: systems.System) -> None:
    first, losses = trained(system)
    second, again = trained(system)
    assert losses == again
    ours, theirs = first.module.state_dict(), second.module.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert trained(system, seed=1)[1] != losses


def stops_of(system: systems.System, options: Training) -> list[int]:
    """Steps after which a training is cut: in the middle of each stage, and where one ends and the next begins."""
    learner, inputs = make(system)
    assert options.batch_size is not None
    assert options.steps is not None
    laid_out = lay_out(learner.phases, inputs, batch_size=options.batch_size, seed=options.seed)
    found = spans(laid_out, options.steps)
    return [stop for span in found for stop in (span.start + max(1, span.steps // 2), span.stop)][:-1]


@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_resumed_equals_straight(system: systems.System, tmp_path: Path) -> None:
    options = settings(system, steps=4 * len(make(system)[0].phases))

    def run(name: str, stop: int | None = None) -> None:
        def stop_here(step: int, total: int, row: dict) -> None:
            if step == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        learner, inputs = make(system)
        (tmp_path / name).mkdir(exist_ok=True)
        listener = training.Listener(on_step=stop_here)
        train(learner, inputs, options, folder=tmp_path / name, resume=True, listener=listener)

    run("straight")
    for stop in stops_of(system, options):
        with pytest.raises(training.Interrupted, match=f"stopped at step {stop} of {options.steps}"):
            run("cut", stop)
    run("cut")
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    assert (straight / "metrics.jsonl").read_text() == (cut / "metrics.jsonl").read_text()
    last = f"checkpoints/{options.steps:09d}"
    names = {path.name for path in (straight / last).iterdir()}
    assert names == {"weights.safetensors", "optimizer.safetensors", "state.json"}
    for name in sorted(names):
        assert (straight / last / name).read_bytes() == (cut / last / name).read_bytes(), name


@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_saved_and_loaded_equal(system: systems.System, tmp_path: Path) -> None:
    learner, _ = trained(system)
    training.save_tensors(tmp_path / "w.safetensors", learner.module.state_dict())
    fresh, inputs = make(system, seed=5)
    training.load_module(fresh.module, training.load_tensors(tmp_path / "w.safetensors"), tmp_path)
    learner.module.eval()
    fresh.module.eval()
    for role in roles_of(system):
        kind = role.split(":")[0]
        entries = inputs.batch(np.arange(6)).role(role)
        ours, theirs = learner.embed(kind, entries), fresh.embed(kind, entries)
        assert torch.equal(ours, theirs)
        assert torch.allclose(ours.norm(dim=1), torch.ones(6), atol=1e-5)


APART = {"bert", "one-vs-all", "wav2vec2", "w2v-bert", "sasrec", "cl4srec", "mclrec", "sdcn"}
"""They use parameters of their encoder, or methods, apart from its forward pass."""


@pytest.fixture(scope="module")
def one_of_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[training.Together]:
    """The only process of a group: what it shares out are parts all the same."""
    if not torch.distributed.is_available():
        pytest.skip("torch without torch.distributed")
    store = tmp_path_factory.mktemp("group") / "store"
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield training.Together()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("system", LEARNERS, ids=lambda system: system.slug)
def test_learns_the_same_from_encoders_that_are_shared_out_or_says_that_it_cannot(
    system: systems.System, one_of_one: training.Together
) -> None:
    learner, inputs = make(system)
    processes = training.shard(learner.module, one_of_one)
    # Of what has no gradient but rounding, such as a bias before batch normalisation, AdamW would make whole steps.
    options = {"optimizer": "sgd", "learning_rate": 1e-3}
    if system.slug in APART:
        with pytest.raises(SettingsError, match="leave --shard out"), training.forward_only():
            train(learner, inputs, settings(system, **options), processes=processes)
        return
    with training.forward_only():
        train(learner, inputs, settings(system, **options), processes=processes)
    found, expected = processes.whole(learner.module.state_dict()), trained(system, **options)[0].module.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.contiguous(), rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.fast
@pytest.mark.parametrize("texts", [None, np.eye(3, 8)], ids=["alone", "with names"])
@pytest.mark.parametrize("system", ADAPTERS, ids=lambda system: system.slug)
def test_adapts_from_one_shot_on_and_learns_what_is_told_apart(
    system: systems.System, texts: np.ndarray | None
) -> None:
    rng = np.random.default_rng(0)
    for shots in (1, 2, 5):
        labels = rng.permutation(np.repeat(np.arange(3), shots))
        features = np.eye(3, 8)[labels] + 0.05 * rng.normal(size=(2, 3 * shots, 8))
        asked = np.eye(3, 8) + 0.05 * rng.normal(size=(3, 8))
        adapter = system.build(system.settings())
        assert adapter.fit(features, labels, texts=texts).predict(asked).tolist() == [0, 1, 2]
        scores = adapter.scores(asked)
        again = system.build(system.settings()).fit(features, labels, texts=texts)
        np.testing.assert_array_equal(again.scores(asked), scores)
        # What is kept is arrays and numbers, and these are all.
        loaded = dataclasses.replace(
            system.build(system.settings()), learnt=dict(adapter.learnt), texts=adapter.texts, choice=adapter.choice
        )
        assert all(isinstance(each, np.ndarray) for each in loaded.learnt.values())
        np.testing.assert_array_equal(loaded.scores(asked), scores)


@pytest.mark.fast
@pytest.mark.parametrize("system", AUDITS, ids=lambda system: system.slug)
def test_audits_do_the_same_twice_and_leave_the_rest_of_the_model_alone(system: systems.System) -> None:
    auditor = system.build(system.settings())
    assert auditor.attacks or auditor.detect or auditor.repair
    if auditor.detect is not None:
        rows = np.random.default_rng(0).normal(size=(40, 6))
        scores = auditor.detect(rows, rows)
        assert scores.shape == (40,)
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores, auditor.detect(rows, rows))
    if auditor.repair is None:
        return
    states = []
    for _ in range(2):
        learner, inputs = make(systems.find("slip"))
        roles = {kind: (kind,) for kind in ("image", "text")}
        task = Task(encoders=learner.encoders, roles=roles, rows=ROWS, steps=3)
        before = {name: value.clone() for name, value in learner.module.state_dict().items()}
        repairer = auditor.repair(learner, task)
        losses: list[float] = []
        listener = training.Listener(on_step=lambda step, total, row: losses.append(row["loss"]))  # noqa: B023
        options = Training(steps=3, batch_size=8, device="cpu", learning_rate=1e-3).resolved(auditor.recipe, ROWS)
        train(repairer, inputs, options, listener=listener)
        assert len(losses) == 3
        assert all(math.isfinite(loss) for loss in losses)
        states.append(learner.module.state_dict())
        moved = {name.split(".")[0] for name, value in states[-1].items() if not torch.equal(value, before[name])}
        assert {"image", "text", "image_head", "text_head", "scale"} <= moved
        assert "projector" not in moved
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.fast
@pytest.mark.parametrize("system", DECODERS, ids=lambda system: system.slug)
def test_decodes_the_same_twice_and_in_transformers_generate(system: systems.System) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 30, "n_positions": 32}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None)).eval()
    ids, plain = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]), torch.tensor([[4, 1, 5], [6, 5, 3]])
    tokens = []
    for _ in range(2):
        decoder = system.build(system.settings())
        options = {"plain_ids": plain} if decoder.branches == 2 else {}
        tokens.append(model.generate(ids, custom_generate=decoder, max_new_tokens=9, **options))
    assert tokens[0].shape == (2, 14)
    assert torch.equal(tokens[0][:, :5], ids)
    assert torch.equal(*tokens)


@pytest.mark.parametrize("system", STUDIES, ids=lambda system: system.slug)
def test_a_study_gives_the_same_table_twice_and_another_for_another_seed(
    system: systems.System, tmp_path: Path
) -> None:
    scale = Scale(folder=tmp_path, **{"rows": 64, "scored": 64, "batch": 16} | dict(system.paper.probe))
    claim = scale.claim(system.claim)
    work = StudyWork(system.slug, claim, scale)
    for name in used_arms(claim):
        point = scale.point(grid(claim, claim.all_arms[name])[0])
        metrics = tuple(n for n, each in enumerate(claim.measures) if name in measured_arms(claim, each))
        job = Job(stage="score", arm=name, seed=0, chosen=point, metrics=metrics, floors=True)
        try:
            first = work(job)
        except DataError as error:
            pytest.skip(str(error))
        again = work(job)
        assert first.table
        assert (first.table, first.values, first.floors) == (again.table, again.values, again.floors)
        assert set(first.values) == {str(number) for number in metrics}
        assert first.reads == 1
        assert work(dataclasses.replace(job, seed=1)).table != first.table


@pytest.mark.fast
@pytest.mark.parametrize("system", ALL, ids=lambda system: system.slug)
def test_the_file_is_one_page_and_says_what_it_must(system: systems.System) -> None:
    path = Path(system.module.__file__ or "")
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    [build] = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "build"]
    assert build.end_lineno <= METHOD, "the method: paper, settings, build"
    assert len(lines) - build.end_lineno <= CLAIM, "the claim: its controls, metrics, arms"
    assert len(system.summary) <= 120
    assert system.summary.endswith(".")
    assert system.slug.replace("-", "_") == path.stem
    assert dataclasses.is_dataclass(system.settings)
    assert system.settings.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert system.claim.sentence
    assert system.claim.baseline is None or system.claim.baseline in {each.slug for each in ALL}
    assert "super().__init__" not in "\n".join(lines), "a system composes parts and inherits from none"


@pytest.mark.parametrize("system", ALL, ids=lambda system: system.slug)
def test_own_settings_do_not_hide_common_flags(system: systems.System) -> None:
    common = {field.name for command in COMMANDS[system.paper.kind] for field in dataclasses.fields(command)}
    assert not common & {field.name for field in dataclasses.fields(system.settings)}


@pytest.mark.fast
def test_slugs_and_numbers_are_unique() -> None:
    slugs = [system.slug for system in ALL]
    assert len(set(slugs)) == len(slugs)
    numbers = [system.paper.number for system in ALL if system.paper.number is not None]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.fast
def test_every_system_file_is_in_the_list() -> None:
    root = Path(systems.__file__ or "").parent
    files = {f"{path.parent.name}.{path.stem}" for path in root.glob("*/*.py") if path.stem != "__init__"}
    assert files == set(systems.FILES)


@pytest.mark.fast
def test_the_list_imports_no_torch() -> None:
    code = "import sys; from unalike import systems; systems.all_systems(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
