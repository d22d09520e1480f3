"""Tensors in safetensors files, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from egoscale_sdk.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]


def save_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors; each gets its own memory first, as the format wants."""
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, file)


def load_tensors(file: Path, expected: Shapes) -> dict[str, Tensor]:
    """Read exactly the tensors ``expected``; names and shapes are compared before anything is read.

    Raises:
        CheckpointError: the file is missing, truncated or malformed, has other names or shapes, or holds a NaN.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            found = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            _compare(found, expected, file)
            tensors = {name: opened.get_tensor(name) for name in expected}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=str(file), hint="copy it again") from None
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"tensor {name!r} is not finite", where=str(file))
    return tensors


def _compare(found: Shapes, expected: Shapes, file: Path) -> None:
    for label, names in (("lacks", expected.keys() - found.keys()), ("has unexpected", found.keys() - expected.keys())):
        if names:
            first = sorted(names)[0]
            raise CheckpointError(f"{label} {len(names)} tensors, the first of which is {first!r}", where=str(file))
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(f"tensor {name!r} has shape {found[name]}, config says {shape}", where=str(file))
