"""Models of transformers that read recordings as waves, such as wav2vec 2.0. Nothing is ever downloaded."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from unalike.data import AudioColumn, Column, Failure
from unalike.data.sound import decode_sound, survey
from unalike.errors import DataError, SettingsError

from .base import Encoded, Encoder
from .mel_transformer import _recordings as recordings
from .model_folders import model_folder, opened_again, readable, require_transformers, saved_files
from .packed import IN_MEMORY
from .seeding import seeded
from .sound import WINDOW, PackedSound, log_mel
from .text import masked_mean


class PackedWaves(PackedSound):
    """Waves ``(N, 1, samples)``, NaN behind the end of each; floors see the spectra, not the samples."""

    def raw(self, indices: np.ndarray | Sequence[int]) -> Tensor:
        """float32 ``(B, 128)``: mean and deviation over time of 64 bands; zeros where missing."""
        waves = self.take(indices)[:, 0].nan_to_num_(0.0)
        mels = log_mel(torch.nn.functional.pad(waves, (0, max(0, WINDOW - waves.shape[1]))))
        return torch.cat([mels.mean(2), mels.std(2, correction=0)], dim=1) * ~self.take(indices)[:, 0, :1].isnan()


class TransformersSoundEncoder(Encoder):
    """A model of transformers on waves: the mean of its frames, at the rate that it was trained for.

    The vectors are those of a recording alone, whatever stands beside it in a batch: where a model knows no mask (those
    that normalise over a whole recording), recordings of other lengths go through one after the other.

    Args:
        folder: where ``save_pretrained`` put the model and its feature extractor.
        samples: of a longer recording so many are read.
        frozen: keep the weights as they are.

    Raises:
        MissingExtra: transformers is not installed.
        SettingsError: the folder holds no model that reads waves; the message names what it holds.
    """

    kind = "audio"

    suited_rate = 2e-5

    def __init__(self, folder: str | Path, *, samples: int = 8 * 16_000, frozen: bool = False) -> None:
        transformers = require_transformers()
        path = model_folder(folder, "config.json")
        model_folder(folder, "preprocessor_config.json")
        with seeded(0), readable(path):
            model = transformers.AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
            extractor = transformers.AutoFeatureExtractor.from_pretrained(path, local_files_only=True)
        self._set(model, extractor, samples, frozen)

    def _set(self, model: Any, extractor: Any, samples: int, frozen: bool) -> None:
        name = type(extractor).__name__
        if "input_values" not in extractor.model_input_names or getattr(extractor, "feature_size", 1) != 1:
            raise SettingsError(
                f"{name} of {type(model).__name__} makes {', '.join(extractor.model_input_names)}; hf: reads recordings"
                " by models of waves (input_values of one channel), such as wav2vec 2.0, HuBERT and WavLM"
            )
        if samples < WINDOW:
            raise SettingsError(f"samples={samples}: of a recording at least {WINDOW} are read")
        super().__init__()
        # Views hide parts of recordings here; the model's own way draws from NumPy's global state.
        model.config.apply_spec_augment = False
        self.model: Any = model
        self._extractor = extractor
        self.rate, self.samples, self.pretrained = int(extractor.sampling_rate), samples, True
        self._masks = bool(extractor.return_attention_mask) and hasattr(model, "_get_feature_vector_attention_mask")
        training = model.training
        with torch.no_grad(), readable(Path(name)):
            model.eval()
            self.width = self(torch.zeros(1, 1, self.rate)).vector.shape[1]
            model.train(training)
        if frozen:
            self.freeze()

    @classmethod
    def for_columns(
        cls, columns: Sequence[Column], *, given: str, size: int, seconds: float = 8.0, **options: Any
    ) -> Self:
        """A model for recordings of up to ``seconds``, or of the longest of them if that is shorter."""
        if not 0.1 <= seconds <= 600:
            raise SettingsError(f"seconds={seconds}: of a recording 0.1 to 600 seconds can be read")
        options.pop("seed", None)  # the weights are there
        encoder = cls(given, **options)
        lengths = [h.seconds for column in columns for h in survey(recordings(column))[0].values()]
        encoder.samples = max(WINDOW, math.ceil(min(seconds, max([0.1, *lengths])) * encoder.rate))
        return encoder

    @classmethod
    def options(cls) -> set[str]:
        return super().options() - {"samples"} | {"seconds"}

    def prepare(self, column: Column, *, cache: Path | None = None) -> PackedWaves:
        """Decode the beginning of each recording, at the model's rate.

        Args:
            column: of recordings.
            cache: is not used: what is too large for memory goes to a file that vanishes with the process.
        """
        column = recordings(column)
        failures: dict[int, Failure] = {}
        shape = (len(column), 1, self.samples)
        with tempfile.TemporaryFile() as file:
            if math.prod(shape) * 4 > IN_MEMORY:
                file.truncate(math.prod(shape) * 4)
                waves: np.ndarray = np.memmap(file, np.float32, "r+", shape=shape)
            else:
                waves = np.empty(shape, np.float32)
        longer = 0
        for row in range(len(column)):
            found = self._decoded(column, row, failures)
            waves[row, 0, : len(found)] = found[: self.samples]
            waves[row, 0, len(found) :] = np.nan
            longer += len(found) > self.samples
        notes = (
            [f"{longer} of {len(column)} recordings are cut after {self.samples / self.rate:.3g} s"] if longer else []
        )
        return PackedWaves(waves, failures=failures, notes=notes)

    def _decoded(self, column: AudioColumn, row: int, failures: dict[int, Failure]) -> np.ndarray:
        path = column[row]
        if path is None:
            return np.empty(0, np.float32)
        try:
            # One sample more than is read shows which recordings are longer.
            sound = decode_sound(path, seconds=(self.samples + 1) / self.rate, rate=self.rate)
        except DataError as error:
            failures[row] = Failure(str(error))
            return np.empty(0, np.float32)
        return sound.samples

    def plain(self, inputs: Tensor) -> Tensor:
        """Waves ``(B, 1, samples)``, each of mean zero and variance one if the model was trained so."""
        if not getattr(self._extractor, "do_normalize", False):
            return inputs
        known = ~inputs.isnan()
        count = known.sum(2, keepdim=True).clamp(min=1)
        mean = inputs.nan_to_num(0.0).sum(2, keepdim=True) / count
        variance = torch.where(known, inputs - mean, 0).square().sum(2, keepdim=True) / count
        return (inputs - mean) / (variance + 1e-7).sqrt()

    def forward(self, inputs: Tensor) -> Encoded:
        """Encode waves ``(B, 1, samples)``, NaN behind the end of each."""
        known = ~inputs[:, 0].isnan()
        lengths = known.sum(1).clamp(min=WINDOW)
        longest = int(lengths.max())
        waves = torch.where(known, inputs[:, 0], 0.0)
        waves = torch.nn.functional.pad(waves, (0, max(0, longest - waves.shape[1])))[:, :longest]
        if self._masks:
            present = torch.arange(longest, device=waves.device) < lengths[:, None]
            tokens = self.model(waves, attention_mask=present.long()).last_hidden_state
            mask = self.model._get_feature_vector_attention_mask(tokens.shape[1], present.long()).bool()
            return Encoded(masked_mean(tokens, mask), tokens, mask)
        vectors: list[Tensor] = [waves.new_empty(0)] * len(waves)
        for length in torch.unique(lengths).tolist():
            rows = (lengths == length).nonzero()[:, 0]
            states = self.model(waves[rows, :length]).last_hidden_state
            for row, vector in zip(rows.tolist(), states.mean(1), strict=True):
                vectors[row] = vector
        return Encoded(torch.stack(vectors))

    def config(self) -> dict[str, Any]:
        return {"name": "hf-audio", "samples": self.samples, "frozen": self.frozen}

    def assets(self) -> dict[str, bytes]:
        return saved_files(self.model.config, self._extractor)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], assets: Mapping[str, bytes]) -> Self:
        model, extractor = opened_again(assets, "AutoFeatureExtractor")
        encoder = cls.__new__(cls)
        encoder._set(model, extractor, **settings)
        return encoder
