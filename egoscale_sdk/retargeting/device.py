"""Tables of a hand on the device that computes; they are made on the CPU."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
_OURS = __package__


def moved(value: T, device: torch.device) -> T:
    """Return a copy whose tensors, however deep inside objects of this package, lie on ``device``.

    On the CPU it is the value itself. What is shared stays shared. Objects of other packages stay as they are, and so
    do whole numbers: they number rows, and torch takes those from the CPU.
    """
    return value if device.type == "cpu" else _moved(value, device, {})


def _moved(value: Any, device: torch.device, made: dict[int, Any]) -> Any:
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, Tensor):
        made[id(value)] = value if value.dtype == torch.int64 else value.to(device)
    elif isinstance(value, dict):
        made[id(value)] = {key: _moved(part, device, made) for key, part in value.items()}
    elif type(value) in (list, tuple):
        made[id(value)] = type(value)(_moved(part, device, made) for part in value)
    elif type(value).__module__.startswith(_OURS) and hasattr(value, "__dict__"):
        made[id(value)] = other = copy.copy(value)
        for name, part in vars(value).items():
            object.__setattr__(other, name, _moved(part, device, made))  # frozen ones, too
    return made.get(id(value), value)
