"""The settings of one training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unalike.errors import SettingsError
from unalike.records import Recipe


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long, how fast and on what to train. Values left at None are taken from the system's recipe."""

    epochs: int | None = None
    """Passes over the data."""
    steps: int | None = None
    """Optimiser steps, in place of epochs."""
    batch_size: int | None = None
    """Rows per step."""
    learning_rate: float | None = None
    """Peak learning rate."""
    pretrained_rate: float | None = None
    """Peak learning rate of pretrained weights; without it what suits their kind (2e-5 for transformers), or the
    learning rate where that was given."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer of a pretrained encoder to the one below it."""
    weight_decay: float | None = None
    """Weight decay of matrices; biases and normalisation layers have none."""
    optimizer: Literal["adamw", "sgd", "lars"] | None = None
    warmup: float | None = None
    """Share of steps over which the learning rate rises linearly."""
    clip_norm: float | None = None
    """Largest global gradient norm; 0 for no clipping."""
    average: float = 0.0
    """Decay of an exponential moving average of the weights, which replaces the last weights; 0 for none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Floating-point format of the encoders; objectives always sum in float32."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto takes an accelerator if there is one."""
    seed: int = 0
    """Seed of initial weights, data order and views."""
    checkpoint_minutes: float = 1.0
    """Minutes between checkpoints."""
    validate: int | None = None
    """How often the model is measured while it trains, on rows held out of the training rows for this; 0 for never.
    Without it ten times where pretrained weights are trained on, and never else."""
    keep: Literal["best", "last"] | None = None
    """Which weights are kept: the best by validation (those at the start among them), or the last."""
    patience: int = 0
    """Training ends after so many measurements without a better one; 0 for never."""

    def resolved(self, recipe: Recipe, rows: int) -> Training:
        """These settings with every None replaced by the recipe's value.

        Raises:
            SettingsError: all values that are out of range, at once.
        """
        from dataclasses import fields, replace

        known = {field.name for field in fields(recipe)}
        filled = {
            field.name: getattr(recipe, field.name)
            for field in fields(self)
            if field.name in known and getattr(self, field.name) is None
        }
        if self.steps is not None and self.epochs is None:
            filled.pop("epochs", None)
        if self.batch_size is None:
            # A recipe's batch is a suggestion: small collections get a smaller one, never an error.
            filled["batch_size"] = max(2, min(recipe.batch_size, rows))
        training = replace(self, **filled)
        problems = training.problems(rows)
        if problems:
            raise SettingsError("these training settings cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
        return training

    def problems(self, rows: int) -> list[str]:
        """All that is wrong with resolved settings, in words."""
        found = []
        if self.steps is not None and self.epochs is not None:
            found.append(f"steps={self.steps} and epochs={self.epochs} were both given: give one of them")
        for name in ("steps", "epochs"):
            value = getattr(self, name)
            least = 0 if name == "steps" else 1
            if value is not None and value < least:
                found.append(f"{name}={value}: at least {least} is needed")
        for name in ("validate", "patience"):
            if (getattr(self, name) or 0) < 0:
                found.append(f"{name}={getattr(self, name)}: it must be 0 or more")
        if self.validate == 0 and (self.patience or self.keep == "best"):
            found.append("validate=0 measures nothing by which keep='best' or patience could choose: leave them out")
        if self.batch_size is not None and self.batch_size < 2:
            found.append(f"batch_size={self.batch_size}: a contrast needs at least 2 rows")
        if self.batch_size is not None and self.batch_size > rows:
            found.append(
                f"batch_size={self.batch_size} is larger than the {rows} rows to train on: give at most {rows}"
            )
        for name, low, high in (
            ("learning_rate", 0.0, 1e4),
            ("pretrained_rate", 0.0, 1e4),
            ("layer_decay", 0.0, 1.0),
            ("weight_decay", 0.0, 1e3),
            ("warmup", 0.0, 1.0),
            ("clip_norm", 0.0, 1e9),
            ("average", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                found.append(f"{name}={value}: it must lie between {low:g} and {high:g}")
        if not 0 <= self.seed < 2**32:
            found.append(f"seed={self.seed}: it must lie between 0 and {2**32 - 1}")
        if self.checkpoint_minutes <= 0:
            found.append(f"checkpoint_minutes={self.checkpoint_minutes}: it must be above 0")
        return found

    def total_steps(self, rows: int) -> int:
        """Optimiser steps in all, for resolved settings."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None and self.batch_size is not None
        return self.epochs * max(1, rows // self.batch_size)
