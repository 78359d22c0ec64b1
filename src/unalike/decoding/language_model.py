"""Language models that lie on this machine. Nothing is ever downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unalike.data import CATALOGUE, weights
from unalike.encoders import require_transformers, without_bars
from unalike.errors import MissingExtra, SettingsError


def load_language_model(name: str | Path, *, device: str = "cpu") -> tuple[Any, Any]:
    """A causal language model and its tokenizer.

    Args:
        name: a data set that holds weights (``unalike data get smollm2``), or a folder that transformers reads: one
            with a ``config.json``, or with one GGUF file.
        device: where the model goes.

    Returns:
        The model, in evaluation mode, and the tokenizer.

    Raises:
        DataError: the weights have not been fetched.
        SettingsError: there is no such folder, or no causal language model in it.
        MissingExtra: transformers is not installed, or for a GGUF file gguf and accelerate.
    """
    transformers = require_transformers()
    folder = _folder(name)
    options: dict[str, Any] = {"local_files_only": True}
    if not (folder / "config.json").is_file():
        files = sorted(folder.glob("*.gguf"))
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or "none"
            raise SettingsError(
                f"{folder} is no folder with a language model: expected a config.json or one GGUF file, found {found}"
            )
        for package in ("gguf", "accelerate"):
            if not _installed(package):
                raise MissingExtra(package, "text")
        options["gguf_file"] = files[0].name
    try:
        with without_bars():
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder} holds no causal language model with its tokenizer: {error}") from error
    return model.eval().to(device), tokenizer


def _folder(name: str | Path) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    held = [record.name for record in CATALOGUE if record.weights]
    if str(name) in held:
        return weights(str(name))
    raise SettingsError(
        f"{name} is neither a folder on this machine nor the name of weights ({', '.join(held)}); models are read from "
        "this machine only: save one there first, or unalike data get smollm2"
    )


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
