"""unalike generate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional

from unalike.cli.arguments import Command, told
from unalike.cli.console import out
from unalike.errors import DataError, SettingsError
from unalike.records import Kind


@dataclass(frozen=True)
class Generate(Command):
    """Continue a text with a local language model, decoding by contrast. With --decoder SLUG, that decoder's settings
    become options too, and --help lists them."""

    model: Positional[Annotated[str, told(metavar="MODEL")]]
    """A folder that transformers reads, or the name of downloaded weights (unalike data get smollm2)."""
    prompts: Positional[Annotated[tuple[str, ...], told(metavar="[PROMPT ...]")]] = ()
    """Texts to continue."""
    prompt_file: Annotated[Path | None, told(metavar="FILE")] = None
    """A file with more prompts, one per line."""
    decoder: Annotated[str | None, told(metavar="SLUG")] = None
    """How tokens are chosen (unalike systems --modality language-models lists decoders; default: greedily)."""
    context: Annotated[Path | None, told(metavar="FILE")] = None
    """A file with a text to put before every prompt; adacad and cad contrast the prompt with and without it."""
    max_new_tokens: int = 64
    """Largest number of tokens to add."""
    batch_size: int = 8
    """Prompts per batch."""
    json: Annotated[Path | None, told(metavar="FILE")] = None
    """Also write the texts and their tokens as JSON."""
    device: str = "cpu"
    """Device that the model runs on."""

    takes_settings_of: ClassVar[tuple[str, Kind] | None] = ("--decoder", "decoder")

    def execute(self, roles: Mapping[str, str]) -> None:
        from unalike import systems
        from unalike.decoding import generate, load_language_model
        from unalike.files import write_json

        prompts = list(self.prompts)
        if self.prompt_file is not None:
            prompts += [line for line in read_text(self.prompt_file).splitlines() if line.strip()]
        if not prompts:
            raise SettingsError(
                "unalike generate needs a prompt: after MODEL, or in a file with --prompt-file, one per line"
            )
        decoder = None
        if self.decoder is not None:
            system = systems.find(self.decoder, kind="decoder")
            decoder = system.build(vars(self)["settings"])
        contexts = None if self.context is None else read_text(self.context).strip()
        model, tokenizer = load_language_model(self.model, device=self.device)
        found = generate(
            model,
            tokenizer,
            prompts,
            decoder=decoder,
            contexts=contexts,
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
        )
        for number, each in enumerate(found):
            out.print(("\n" if number else "") + each.prompt, style="bold", end="", markup=False, soft_wrap=True)
            out.print(each.text, markup=False, soft_wrap=True)
        if self.json is not None:
            write_json(self.json, [dataclasses.asdict(each) for each in found])


def read_text(path: Path) -> str:
    """A text file of the user's.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from error
