"""The harness with made-up trials: pairing, tuning, one look at the test split, going on after a stop."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from unalike.claims import Job, Outcome, check, confirm, read_row
from unalike.claims.harness import TUNING_SEED
from unalike.errors import RunError, SettingsError
from unalike.records import Arm, Bed, Claim, Measure, Paper

PAPER = Paper(slug="made-up", title="T", authors="A", year=2020, modality="image", roles=("image",), number=7)
CLAIM = Claim(
    sentence="It is better.",
    baseline="simclr",
    bed=Bed(set="digits"),
    measures=(
        Measure(name="accuracy", metric="knn"),
        Measure(name="above a number", metric="knn", against=0.1, mechanism=True),
        Measure(name="less of it", metric="uniformity", better="lower"),
        Measure(name="sum", metric="knn", combine=lambda knn: knn["system"] + knn["baseline"], against=0.0),
    ),
    tune={"learning_rate": (0.1, 0.2, 0.3)},
)


class Bench:
    """Answers jobs by a formula and remembers them."""

    def __init__(self, **changes):
        self.jobs: list[Job] = []
        self.changes = changes

    def __call__(self, job: Job) -> Outcome:
        self.jobs.append(job)
        base = 0.5 + 0.01 * job.seed % 1 + (0.1 if job.arm == "system" else 0.0)
        if job.stage == "tune":
            return Outcome(choice=-abs(job.chosen["learning_rate"] - (0.3 if job.arm == "system" else 0.2)))
        values = {str(n): (-base if n == 2 else base) for n in job.metrics}
        settings = {"system": job.arm, "settings": {}, "training": {}}
        return dataclasses.replace(
            Outcome(values=values, reads=1, seconds=2.0, memory=100.0, settings=settings, data="digits:abc"),
            **self.changes,
        )


def run(bench, claim=CLAIM, **options):
    return check(PAPER, claim, bench, code="c0de", versions={"unalike": "0"}, jobs=0, **options)


def test_both_arms_meet_the_same_seeds_and_grid():
    bench = Bench()
    row = run(bench)
    tried = {
        arm: [j.chosen["learning_rate"] for j in bench.jobs if j.stage == "tune" and j.arm == arm] for arm in row.arms
    }
    assert tried == {"system": [0.1, 0.2, 0.3], "baseline": [0.1, 0.2, 0.3]}
    assert {j.seed for j in bench.jobs if j.stage == "tune"} == {TUNING_SEED}
    scored = {
        arm: [(j.seed, j.chosen["learning_rate"]) for j in bench.jobs if j.stage == "score" and j.arm == arm]
        for arm in row.arms
    }
    assert scored["system"] == [(seed, 0.3) for seed in range(5)]
    assert scored["baseline"] == [(seed, 0.2) for seed in range(5)]
    assert row.tuning["system"]["chosen"] == {"learning_rate": 0.3}


def test_each_measure_is_judged_by_its_own_rule():
    accuracy, above, less, total = run(Bench()).results
    assert accuracy.effect == pytest.approx(0.1)
    assert accuracy.verdict == "holds"
    # Seeds differ more than arms: only differences within a seed are all alike.
    assert accuracy.interval == pytest.approx((0.1, 0.1))
    assert set(accuracy.values) == {"system", "baseline"}
    assert above.values.keys() == {"system"}
    assert above.effect == pytest.approx(0.5 + 0.02)
    assert less.effect == pytest.approx(-0.1)
    assert less.verdict == "holds"
    assert total.effect == pytest.approx(1.14)


def test_a_stopped_check_goes_on(tmp_path):
    store = tmp_path / "trials.jsonl"

    class Stops(Bench):
        def __call__(self, job):
            if len(self.jobs) == 9:
                raise KeyboardInterrupt
            return super().__call__(job)

    with pytest.raises(KeyboardInterrupt):
        run(Stops(), store=store)
    with store.open("a") as stream:
        stream.write('{"job": "cut o')
    bench = Bench()
    row = run(bench, store=store)
    assert len(bench.jobs) == 6 + 10 - 9
    assert row.results == run(Bench()).results


def test_a_row_is_read_back_as_it_was(tmp_path):
    row = run(Bench())
    path = row.save(tmp_path)
    assert path.name == "made-up.json"
    again = read_row(path)
    assert again.results == row.results
    assert json.loads(path.read_text()) == json.loads(json.dumps(dataclasses.asdict(again)))
    content = json.loads(path.read_text())
    content["colour"] = "red"
    path.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="colour is unknown"):
        read_row(path)


def test_looking_at_test_while_choosing_is_an_error():
    class Peeks(Bench):
        def __call__(self, job):
            return dataclasses.replace(super().__call__(job), reads=1)

    with pytest.raises(RunError, match="opened the test split"):
        run(Peeks())


def test_arms_that_are_tuned_unequally_are_refused():
    claim = dataclasses.replace(CLAIM, arms={"baseline": Arm(system="simclr", tune={"learning_rate": (0.1,)})})
    with pytest.raises(SettingsError, match="not tuned alike"):
        run(Bench(), claim)


def test_a_control_takes_the_tuning_of_another_arm():
    claim = dataclasses.replace(
        CLAIM,
        arms={"control": Arm(like="system")},
        measures=(*CLAIM.measures, Measure(name="control", metric="knn", against="control")),
    )
    bench = Bench()
    row = run(bench, claim)
    assert {j.arm for j in bench.jobs if j.stage == "tune"} == {"system", "baseline"}
    assert row.tuning["control"]["chosen"] == {"learning_rate": 0.3}


def test_an_arm_that_never_learns_is_not_tuned():
    claim = dataclasses.replace(
        CLAIM,
        arms={"as it began": Arm(training={"learning_rate": 0.0})},
        measures=(*CLAIM.measures, Measure(name="as it began", metric="knn", against="as it began")),
    )
    bench = Bench()
    row = run(bench, claim)
    assert [j.chosen for j in bench.jobs if j.arm == "as it began"] == [{}] * 5
    assert {j.arm for j in bench.jobs if j.stage == "tune"} == {"system", "baseline"}
    assert set(row.tuning) == {"system", "baseline"}
    assert row.tuning["system"]["chosen"] == {"learning_rate": 0.3}


def test_all_that_is_wrong_is_said_at_once():
    claim = dataclasses.replace(
        CLAIM,
        arms={"odd": Arm(like="nobody")},
        measures=(Measure(name="one", metric="knn", against="somebody"),),
    )
    with pytest.raises(SettingsError) as error:
        run(Bench(), claim)
    assert "somebody" in str(error.value)
    assert "nobody" in str(error.value)


def test_one_seed_is_no_interval():
    with pytest.raises(SettingsError, match="seeds=1"):
        run(Bench(), seeds=1)


class FlooredBench(Bench):
    def __call__(self, job: Job) -> Outcome:
        outcome = super().__call__(job)
        floors = {str(n): {"chance": 0.1} for n in job.metrics} if job.floors else {}
        if job.arm == "baseline":
            floors = {number: {"chance": 0.3} for number in floors}
        return dataclasses.replace(outcome, floors=floors)


def test_a_row_is_taken_over_where_one_seed_gives_the_same_bits(tmp_path):
    row, bench = run(FlooredBench()), FlooredBench()
    row = read_row(row.save(tmp_path))
    taken = confirm(row, CLAIM, bench, code="new", jobs=0)
    assert [(job.arm, job.stage, job.seed) for job in bench.jobs] == [("system", "score", 0), ("baseline", "score", 0)]
    assert bench.jobs[0].chosen == {"learning_rate": 0.3}
    assert (taken.code, taken.confirmed) == ("new", {"from": "c0de", "seed": 0, "trials": 2})
    assert dataclasses.replace(taken, code=row.code, confirmed={}) == row
    assert confirm(taken, CLAIM, bench, code="newer", jobs=0).confirmed["from"] == "c0de"


def test_floors_that_a_row_lacks_are_added(tmp_path):
    class Further(FlooredBench):
        def __call__(self, job: Job) -> Outcome:
            outcome = super().__call__(job)
            floors = {number: {**each, "untrained encoder": 0.2} for number, each in outcome.floors.items()}
            return dataclasses.replace(outcome, floors=floors | ({"1": {}} if floors else {}))

    def bare(job: Job) -> Outcome:
        outcome = FlooredBench()(job)
        return dataclasses.replace(outcome, floors={n: each for n, each in outcome.floors.items() if n == "0"})

    row = run(bare)
    assert [bool(result.floors) for result in row.results] == [True, False, False, False]
    taken = read_row(confirm(row, CLAIM, Further(), code="new", jobs=0).save(tmp_path))
    both = {"chance": 0.1, "untrained encoder": 0.2}
    assert [result.floors for result in taken.results] == [both, {}, both, both]
    assert list(taken.confirmed["floors"]) == ["accuracy", "less of it", "sum"]
    for before, after in zip(row.results, taken.results, strict=True):
        assert dataclasses.replace(after, floors={}) == dataclasses.replace(before, floors={})
    again = confirm(taken, CLAIM, Further(), code="newer", jobs=0)
    assert list(again.confirmed["floors"]) == list(taken.confirmed["floors"])
    with pytest.raises(SettingsError, match="accuracy, floors"):
        confirm(taken, CLAIM, bare, code="newer", jobs=0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"values": {"0": 0.6, "1": 0.6, "2": -0.6, "3": 0.6 + 1e-16 + 2e-16}}, "accuracy, baseline"),
        ({"data": "digits:abd"}, "the data have changed"),
        ({"settings": {"system": "x", "settings": {}, "training": {}}}, "the settings were"),
        ({"floors": {"0": {"chance": 0.2}}}, "accuracy, floors"),
    ],
)
def test_a_row_is_not_taken_over_where_anything_differs(change, told):
    row = run(FlooredBench())

    def work(job: Job) -> Outcome:
        return dataclasses.replace(FlooredBench()(job), **change)

    with pytest.raises(SettingsError, match=told):
        confirm(row, CLAIM, work, code="new", jobs=0)


def test_a_row_of_another_claim_is_not_taken_over():
    row = run(FlooredBench())
    for changed in ({"measures": CLAIM.measures[:3]}, {"tune": {"learning_rate": (0.1, 0.2, 0.3, 0.4)}}):
        with pytest.raises(SettingsError, match=r"other measures|the row chose"):
            confirm(row, dataclasses.replace(CLAIM, **changed), FlooredBench(), code="new", jobs=0)


def test_two_parts_of_one_set_are_told_apart():
    class OfTwoParts(Bench):
        def __call__(self, job: Job) -> Outcome:
            part = {"system": "one", "baseline": "other"}[job.arm]
            return dataclasses.replace(super().__call__(job), data=f"letters:{part}:{part}-print")

    row = run(OfTwoParts())
    assert row.data == {"letters:one": "one-print", "letters:other": "other-print"}
    assert confirm(row, CLAIM, OfTwoParts(), code="new", jobs=0).code == "new"
    changed = dataclasses.replace(row, data=row.data | {"letters:other": "one-print"})
    with pytest.raises(SettingsError, match="baseline: the data have changed"):
        confirm(changed, CLAIM, OfTwoParts(), code="new", jobs=0)


KILLED = """
import sys, time
from unalike.claims.workers import Job, Outcome, workers

def work(job):
    print(job.seed, flush=True)
    until = time.monotonic() + 60 * job.seed
    while time.monotonic() < until:  # the first worker is idle when the end comes, the second in the middle of a job
        sum(range(10**5))
    return Outcome()

def told(job, outcome):
    print("told", flush=True)

if __name__ == "__main__":
    with workers(work, 2, None) as run:
        run([Job(stage="score", arm="system", seed=seed) for seed in (0, 1)], told)
"""


def test_workers_end_with_a_check_that_is_killed(tmp_path: Path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as check:
        assert check.stdout is not None
        assert sorted(check.stdout.readline().strip() for _ in range(3)) == ["0", "1", "told"]
        check.kill()
        # The workers write to the same pipe: its end is not there before the last of them is gone.
        assert check.communicate(timeout=30)[0] == ""
