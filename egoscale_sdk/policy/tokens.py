"""From a prompt to token ids: bytes for models without a vocabulary, a tokenizer file for pretrained ones."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.policy.config import BackboneConfig

MAX_TOKENIZER_BYTES = 64 * 2**20
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Tokenizer(Protocol):
    """Turns text into ids."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without special tokens."""


class ByteTokenizer:
    """One token per UTF-8 byte."""

    def encode(self, text: str) -> list[int]:
        """Return the bytes of ``text``."""
        return list(text.encode())


class FileTokenizer:
    """A tokenizer in the JSON form of the ``tokenizers`` library; ``text`` is that JSON."""

    def __init__(self, text: str) -> None:
        from tokenizers import Tokenizer as Rust

        self.text = text
        try:
            self._rust = Rust.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"tokenizer.json cannot be read: {error}") from None

    @classmethod
    def read(cls, file: Path) -> FileTokenizer:
        """Read a ``tokenizer.json``.

        Raises:
            CheckpointError: it is missing, larger than 64 MiB, or malformed.
        """
        try:
            if file.stat().st_size > MAX_TOKENIZER_BYTES:
                raise CheckpointError(f"is larger than {MAX_TOKENIZER_BYTES} bytes", where=str(file))
            return cls(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"cannot be read: {error}", where=str(file)) from None

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without special tokens."""
        return list(self._rust.encode(text, add_special_tokens=False).ids)


def plain(prompt: str) -> str:
    """Lower the case and strip punctuation, so that two people's wording of one task is one prompt."""
    return " ".join(prompt.lower().translate(_PUNCTUATION).split())


def prompt_tokens(prompts: list[str], tokenizer: Tokenizer, config: BackboneConfig) -> tuple[Tensor, Tensor]:
    """Return ids and mask ``(B, L)`` of the prompts behind the configured prefix, padded on the left.

    A prompt longer than ``max_prompt_tokens`` keeps its beginning.
    """
    cache: dict[str, list[int]] = {}
    for prompt in set(prompts):
        ids = tokenizer.encode(plain(prompt))[: config.max_prompt_tokens]
        cache[prompt] = [*config.tokens.prefix, *ids] or [config.tokens.vision_start]
    length = max(len(ids) for ids in cache.values())
    padded = {prompt: [config.tokens.pad] * (length - len(ids)) + ids for prompt, ids in cache.items()}
    tokens = torch.tensor([padded[prompt] for prompt in prompts])
    lengths = torch.tensor([len(cache[prompt]) for prompt in prompts])
    return tokens, torch.arange(length) >= (length - lengths)[:, None]
