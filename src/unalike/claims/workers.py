"""Processes that carry the trials of a claim out, and the store of what they came to."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unalike.errors import RunError


@dataclass(frozen=True, kw_only=True)
class Job:
    """One trial, told in values that cross a process boundary.

    stage: ``start`` (pretrain), ``tune`` (score on validation) or ``score`` (on test); arm and seed: which; chosen:
    the point of the grid; metrics: positions in the claim's measures whose metric is wanted; floors: whether floors,
    control and curves are wanted too.
    """

    stage: str
    arm: str
    seed: int
    chosen: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[int, ...] = ()
    floors: bool = False

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job came to.

    values: by position of the measure; choice: the validation score while tuning; floors: by position and name;
    curves: for the system's page; reads: how often the test split was opened; seconds: of a core, whoever else waits
    for it; memory in MiB; settings: of the system and of the training, resolved; data: fingerprint of the bed; table:
    of a study, all of its numbers.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    choice: float | None = None
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    reads: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    table: Mapping[str, float] = field(default_factory=dict)


Runner = Callable[[Sequence[Job], Callable[[Job, Outcome], None]], None]


@contextlib.contextmanager
def workers(work: Callable[[Job], Outcome], jobs: int, store: Path | None) -> Iterator[Runner]:
    """Processes that carry jobs out; what was carried out before is read from the store."""
    finished = read_store(store)
    with contextlib.ExitStack() as stack:
        pool: ProcessPoolExecutor | None = None

        def run(wanted: Sequence[Job], told: Callable[[Job, Outcome], None]) -> None:
            nonlocal pool
            waiting = []
            for job in wanted:
                if job.key in finished:
                    told(job, finished[job.key])
                else:
                    waiting.append(job)
            if not waiting:
                return
            if jobs < 1:
                for job in waiting:
                    keep(job, work(job), told)
                return
            if pool is None:
                pool = stack.enter_context(
                    ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=begin_worker)
                )
            running = {pool.submit(work, job): job for job in waiting}
            try:
                while running:
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        keep(running.pop(future), future.result(), told)
            except BrokenProcessPool as error:
                raise RunError(
                    "a worker of the check died, perhaps for want of memory; run it again to go on"
                ) from error
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

        def keep(job: Job, outcome: Outcome, told: Callable[[Job, Outcome], None]) -> None:
            if store is not None:
                store.parent.mkdir(parents=True, exist_ok=True)
                with store.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"job": job.key, "outcome": asdict(outcome)}) + "\n")
            told(job, outcome)

        yield run


def begin_worker() -> None:
    """A worker computes with one thread, whatever the machine has, and ends with the process that began it."""
    if (parent := multiprocessing.parent_process()) is not None:

        def end() -> None:
            parent.join()
            os._exit(1)  # in the middle of a job: nobody is left who would take its result

        threading.Thread(target=end, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def read_store(store: Path | None) -> dict[str, Outcome]:
    """Finished jobs; a last line that was cut off by a kill is left out."""
    if store is None or not store.exists():
        return {}
    found = {}
    for line in store.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            found[entry["job"]] = Outcome(**entry["outcome"])
    return found
