"""Reading JSON and safetensors that others may have written: bounded, strict, in one line if something is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from egoscale_sdk.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]
MAX_JSON_BYTES = 256 * 2**20


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing, larger than 256 MiB, or no JSON object.
    """
    try:
        if file.stat().st_size > MAX_JSON_BYTES:
            raise CheckpointError(f"is larger than {MAX_JSON_BYTES} bytes", where=str(file))
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=str(file)) from None
    if not isinstance(value, dict):
        raise CheckpointError("is not a JSON object", where=str(file))
    return value


def save_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors; each gets its own memory first, as the format wants."""
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, file)


def load_tensors(file: Path, expected: Shapes, *, partial: bool = False) -> dict[str, Tensor]:
    """Read exactly the tensors ``expected``, or as many as there are if ``partial``.

    Names and shapes are compared before anything is read.

    Raises:
        CheckpointError: the file is missing, truncated or malformed, has other names or shapes, or holds a NaN.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            found = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            wanted = {name: shape for name, shape in expected.items() if name in found or not partial}
            _compare(found, wanted, file)
            tensors = {name: opened.get_tensor(name) for name in wanted}
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
