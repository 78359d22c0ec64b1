"""What a row's trials compute in miniature: whether code that has changed still computes the same.

A probe is made of each arm of a claim through the same code as its trials, on fewer rows and for a few steps
(`unalike.claims.Scale`), in float64, where rounding and change are far apart, and once in float32, on the path that
trials take. It is stored beside the row and compared with one that is made on the code that is here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unalike.claims.code import normalized
from unalike.claims.rows import Row
from unalike.files import read_json, write_json
from unalike.records import Claim
from unalike.settings import read_dataclass

EXACT = 1e-10
"""Largest relative difference of two float64 numbers that are the same but for rounding."""
ROUNDED = (1e-5, 1e-3)
"""The same for the loss in float32 before the first step, and for the one after it, which rounding may have grown."""

State = Literal["current", "current to rounding", "stale"]


@dataclass(frozen=True, kw_only=True)
class ArmProbe:
    """One arm in miniature.

    Args:
        loss64: of each step.
        weights64: by module the sum and the sum of squares of its parameters and buffers at the end.
        vectors64: by role, eight scored rows times one fixed random vector.
        metrics64: by measure its value.
        floors64: by measure its floors.
        choice64: the validation score at the first two points of the grid, and which was chosen.
        loss32: of the first two steps in float32.
        plan: of the trial at full size: its steps, stages, learning rates, and digests of the rows of its splits and of
            the first and last epoch.
    """

    loss64: tuple[float, ...] = ()
    weights64: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    vectors64: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics64: Mapping[str, float] = field(default_factory=dict)
    floors64: Mapping[str, Any] = field(default_factory=dict)
    choice64: tuple[float, ...] = ()
    loss32: tuple[float, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The arms of a claim in miniature.

    Args:
        slug: the system.
        code: hash of the code that it ran on: while it is the same nothing need be run again.
        claim: digest of the claim as data.
        judged: by measure effect and interval as derived from the row's values.
        where: versions and machine.
        arms: by name.
    """

    slug: str
    code: str
    claim: str
    judged: Mapping[str, tuple[float, ...]]
    where: Mapping[str, str]
    arms: Mapping[str, Mapping[str, Any]]

    def arm(self, name: str) -> ArmProbe:
        found: ArmProbe = read_dataclass(ArmProbe, self.arms[name], f"probe of {self.slug}, {name}")
        return found

    def save(self, folder: Path) -> Path:
        path = folder / "probes" / f"{self.slug}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, dataclasses.asdict(self))
        return path


def read_probe(folder: Path, slug: str) -> Probe | None:
    """The stored probe of a row; None where there is none.

    Raises:
        SettingsError: the file is no probe; all that is wrong is listed.
    """
    path = folder / "probes" / f"{slug}.json"
    if not path.exists():
        return None
    found: Probe = read_dataclass(Probe, read_json(path), f"probe {path}")
    return found


@dataclass(frozen=True)
class Verdict:
    """Whether a row is current, and what has changed if not."""

    state: State
    reasons: tuple[str, ...] = ()


def compared(before: Probe, now: Probe) -> Verdict:
    """Whether code computes what it computed when a probe was stored.

    Args:
        before: the stored probe.
        now: made on the code that is here.
    """
    found = list(differences(before, now))
    changed = [text for text, rounding in found if not rounding]
    if changed:
        return Verdict("stale", tuple(changed))
    return Verdict("current to rounding" if found else "current", tuple(text for text, _ in found))


def differences(before: Probe, now: Probe) -> Iterator[tuple[str, bool]]:
    """What two probes differ in, in words, and whether rounding may explain it."""
    if before.claim != now.claim:
        yield "the claim asks for something else (its arms, settings, grid, data or measures)", False
    for name in sorted(set(before.judged) | set(now.judged)):
        if not same(before.judged.get(name), now.judged.get(name), EXACT):
            yield f"{name}: effect and interval are derived from the same values in another way", False
    if set(before.arms) != set(now.arms):
        yield f"the arms were {', '.join(before.arms)} and are {', '.join(now.arms)}", False
        return
    elsewhere = before.where != now.where
    for name in before.arms:
        for text, rounding in arm_differences(before.arm(name), now.arm(name), elsewhere):
            yield f"{name}: {text}", rounding


def arm_differences(before: ArmProbe, now: ArmProbe, elsewhere: bool) -> Iterator[tuple[str, bool]]:
    for part in dict.fromkeys([*before.plan, *now.plan]):
        if not same(before.plan.get(part), now.plan.get(part), EXACT):
            yield f"the plan of the trial has another {part}", False
    step = next(
        (n for n, pair in enumerate(zip(before.loss64, now.loss64, strict=False)) if not same(*pair, EXACT)), None
    )
    if step is not None:
        yield f"the loss at step {step + 1} was {before.loss64[step]:.12g} and is {now.loss64[step]:.12g}", False
    elif len(before.loss64) != len(now.loss64):
        yield f"training made {len(before.loss64)} steps and makes {len(now.loss64)}", False
    for what, old, new in (
        ("weights of the module", before.weights64, now.weights64),
        ("vectors of", before.vectors64, now.vectors64),
    ):
        for name in dict.fromkeys([*old, *new]):
            if not same(old.get(name), new.get(name), EXACT):
                yield f"other {what} {name}", False
    # Elsewhere a metric that counts rows may count one more or less where two scores are equal to rounding.
    allowed = 1 / 64 if elsewhere else EXACT
    for what, old, new in (
        ("value", before.metrics64, now.metrics64),
        ("floors", before.floors64, now.floors64),
    ):
        for name in dict.fromkeys([*old, *new]):
            if not same(old.get(name), new.get(name), allowed):
                yield f"{name}: its {what} was {shown(old.get(name))} and is {shown(new.get(name))}", False
    if not same(before.choice64, now.choice64, allowed):
        yield f"validation scores and choice were {shown(before.choice64)} and are {shown(now.choice64)}", False
    if before.loss32 != now.loss32:
        near = len(before.loss32) == len(now.loss32) and all(
            same(old, new, limit) for old, new, limit in zip(before.loss32, now.loss32, ROUNDED, strict=False)
        )
        yield f"the loss in float32 was {shown(before.loss32)} and is {shown(now.loss32)}", near


def same(one: Any, other: Any, limit: float) -> bool:
    """Whether two values of a probe are equal, numbers to a relative difference."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return set(one) == set(other) and all(same(one[name], other[name], limit) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(same(*pair, limit) for pair in zip(one, other, strict=True))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other or abs(one - other) <= limit * max(1.0, abs(one), abs(other))
    return bool(one == other)


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(each) for each in value)
    return str(value)


def judged(row: Row) -> dict[str, tuple[float, ...]]:
    """By measure effect and interval as they follow from a row's values."""
    return {each.name: (each.effect, *each.interval) for each in row.results}


def machine() -> dict[str, str]:
    """What else than code a number in float32 depends on."""
    import torch

    return {
        "torch": torch.__version__.partition("+")[0],
        "numpy": np.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def claim_digest(claim: Claim) -> str:
    """16 hex digits over a claim as data: what says how it is measured, as far as it is not the default.

    Its sentence may be worded anew. Functions are told by their code, without docstrings and annotations.

    Example:
        >>> from dataclasses import replace
        >>> from unalike import systems
        >>> from unalike.claims.probe import claim_digest
        >>> claim = systems.find("dcl").claim
        >>> claim_digest(replace(claim, sentence="Other words")) == claim_digest(claim) != claim_digest(
        ...     replace(claim, seeds=9)
        ... )
        True
    """
    plain = _plain(dataclasses.replace(claim, sentence=""))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """A record as JSON values, without what is as by default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {"": type(value).__name__}
        for each in dataclasses.fields(value):
            own = getattr(value, each.name)
            usual = each.default_factory() if each.default_factory is not dataclasses.MISSING else each.default
            if usual is dataclasses.MISSING or (own is not usual and not _equal(own, usual)):
                # What an arm's learner computes the other parts of a probe tell; of a metric this is all there is.
                found[each.name] = own.__name__ if each.name == "build" else _plain(own)
        return found
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if callable(value):
        return _function(value)
    return value


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _function(value: Any) -> Any:
    if hasattr(value, "func"):  # partial
        return [_function(value.func), _plain(value.args), _plain(value.keywords)]
    if inspect.isfunction(value):
        # A lambda has no source of its own; what it makes of the values is part of a probe.
        return [value.__name__] + ([] if "<" in value.__name__ else [normalized(inspect.getsource(value))])
    return _plain(value) if dataclasses.is_dataclass(value) else type(value).__name__


def digest_rows(rows: Sequence[int] | np.ndarray) -> str:
    """12 hex digits over row numbers in their order."""
    return hashlib.sha256(np.asarray(rows, np.int64).tobytes()).hexdigest()[:12]


def rounded(value: Any) -> Any:
    """Numbers of a probe with as many digits as are compared."""
    if isinstance(value, Mapping):
        return {str(name): rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(rounded(each) for each in value)
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.13g}")
    if isinstance(value, np.integer):
        return int(value)
    return value
