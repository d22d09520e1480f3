"""A program run number by number in plain Python: one frame alone is done before torch has begun so many operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from egoscale_sdk.retargeting.kernels.scalars import FUNCTIONS, Constant
from egoscale_sdk.retargeting.kernels.trace import Function, Input, trace

Step = tuple[int, Callable[..., Constant], int, int, int]  # result, function, and up to three arguments; -1 for none


class Tape:
    """A framewise function of one frame, on Python's own numbers, all of them in float64.

    Args:
        function: See `trace`.
        inputs: What it is called with.

    Raises:
        TraceError: it is not framewise, or does what is not known.
    """

    def __init__(self, function: Function, inputs: Sequence[Input]) -> None:
        program = trace(function, inputs)
        order = program.order()
        place = {at: n for n, at in enumerate(order)}
        operations = [program.scalars.operations[at] for at in order]
        self._first = [operation.value for operation in operations]
        self._reads = [(n, *o.arguments) for n, o in enumerate(operations) if o.name == "input"]
        self._steps: list[Step] = []
        for n, operation in enumerate(operations):
            if operation.name not in ("input", "literal"):
                a, b, c = [*(place[at] for at in operation.arguments), -1, -1][:3]
                self._steps.append((n, FUNCTIONS[operation.name], a, b, c))
        self._outputs = [[place[at] for at in output] for output in program.outputs]

    def __call__(self, *given: Tensor) -> list[list[Constant]]:
        """Return the outputs' elements for one frame of every input."""
        numbers = list(self._first)
        elements = [tensor.flatten().tolist() for tensor in given]
        for n, tensor, element in self._reads:
            numbers[n] = elements[tensor][element]
        for n, function, a, b, c in self._steps:
            if b < 0:
                numbers[n] = function(numbers[a])
            elif c < 0:
                numbers[n] = function(numbers[a], numbers[b])
            else:
                numbers[n] = numbers[b] if numbers[a] else numbers[c]
        return [[numbers[n] for n in output] for output in self._outputs]
