"""Arithmetic on numbers that are not known yet: what a framewise function does to one frame, as a list of operations.

Constants are folded and equal expressions are one, so the padding of a hand's shorter fingers costs nothing.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["f32", "f64", "bool"]
Constant = float | bool
Arguments = tuple[int, ...]
Values = Sequence[Constant | None]  # of arguments; None where they are not constant


@dataclass(frozen=True)
class Operation:
    """One number.

    Attributes:
        name: What makes it: ``input``, ``literal``, or one of `FUNCTIONS`.
        arguments: Numbers that it is made of; of an input, which input and which of its elements.
        kind: Its type.
        value: Of a literal.
    """

    name: str
    arguments: tuple[int, ...]
    kind: Kind
    value: Constant = 0.0


def _where(condition: Constant, a: Constant, b: Constant) -> Constant:
    return a if condition else b


def _divided(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


FUNCTIONS: dict[str, Callable[..., Constant]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divided,
    "neg": operator.neg,
    "abs": abs,
    # the first stays where it is no number, as torch has it; the second is a bound, or finite
    "min": lambda a, b: b if b < a else a,
    "max": lambda a, b: b if b > a else a,
    "sqrt": lambda a: math.sqrt(a) if a >= 0 else math.nan,
    "sin": lambda a: math.sin(a) if math.isfinite(a) else math.nan,
    "cos": lambda a: math.cos(a) if math.isfinite(a) else math.nan,
    "log": lambda a: math.log(a) if a > 0 else -math.inf if a == 0 else math.nan,
    "exp": lambda a: math.exp(a) if a < 709 else a * math.inf,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": operator.not_,
    "where": _where,
    "convert": lambda a: a,
}
"""Every operation on Python's own numbers."""

COMMUTATIVE = {"add", "mul", "and", "or", "eq"}


class Scalars:
    """Numbers under construction, each known by its place in `operations`; operands stand before what uses them."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._known: dict[Operation | tuple[object, ...], int] = {}

    def literal(self, value: Constant, kind: Kind) -> int:
        """Return a constant."""
        given = bool(value) if kind == "bool" else float(value)
        key = ("literal", repr(given), kind)  # repr: 0.0 and -0.0 are equal, and so are True and 1.0
        return self._place(key, Operation("literal", (), kind, given))

    def input(self, number: int, element: int, kind: Kind) -> int:
        """Return an element of an input."""
        made = Operation("input", (number, element), kind)
        return self._place(made, made)

    def put(self, name: str, kind: Kind, *arguments: int) -> int:
        """Return what a function of `FUNCTIONS` makes of numbers."""
        known = self._simplified(name, kind, arguments)
        if known is not None:
            return known
        ordered = tuple(sorted(arguments)) if name in COMMUTATIVE else arguments
        made = Operation(name, ordered, kind)
        return self._place(made, made)

    def needed(self, results: Iterable[int]) -> list[int]:
        """Return all numbers that results need, operands first, what is used together close together."""
        found: dict[int, None] = {}
        stack = list(results)[::-1]
        while stack:
            at = stack[-1]
            operation = self.operations[at]
            rest = () if operation.name == "input" else [a for a in operation.arguments if a not in found]
            if at in found or not rest:
                found[stack.pop()] = None
            else:
                stack.extend(reversed(rest))
        return list(found)

    def _place(self, key: Operation | tuple[object, ...], operation: Operation) -> int:
        if key not in self._known:
            self._known[key] = len(self.operations)
            self.operations.append(operation)
        return self._known[key]

    def value(self, at: int) -> Constant | None:
        """Return a constant's value; None of what is none."""
        operation = self.operations[at]
        return operation.value if operation.name == "literal" else None

    def _simplified(self, name: str, kind: Kind, arguments: Arguments) -> int | None:
        values = [self.value(at) for at in arguments]
        if None not in values:
            return self.literal(FUNCTIONS[name](*values), kind)
        if name in COMMUTATIVE and values[0] is not None:  # the constant second
            arguments, values = arguments[::-1], values[::-1]
        rule = _RULES.get(name)
        return rule(self, kind, arguments, values) if rule else None


def _add(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    if v[1] == 0:
        return a[0]
    for x, y in (a, a[::-1]):
        if s.operations[y].name == "neg":
            return s.put("sub", kind, x, s.operations[y].arguments[0])
    return None


def _sub(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    if v[1] == 0:
        return a[0]
    if v[0] == 0:
        return s.put("neg", kind, a[1])
    return s.put("add", kind, a[0], s.operations[a[1]].arguments[0]) if s.operations[a[1]].name == "neg" else None


def _mul(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    if v[1] in (0, 1):  # numbers are finite here: what is not is replaced before anything is multiplied
        return a[0] if v[1] else s.literal(0.0, kind)
    if v[1] == -1:
        return s.put("neg", kind, a[0])
    for x, y in (a, a[::-1]):
        if s.operations[x].name == "neg":
            return s.put("neg", kind, s.put("mul", kind, s.operations[x].arguments[0], y))
    return None


def _div(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    if v[0] == 0:
        return a[0]
    return s.put("mul", kind, a[0], s.literal(1.0 / v[1], kind)) if v[1] else None


def _neg(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    return s.operations[a[0]].arguments[0] if s.operations[a[0]].name == "neg" else None


def _and(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    return a[0] if v[1] is True or a[0] == a[1] else a[1] if v[1] is False else None


def _or(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    return a[0] if v[1] is False or a[0] == a[1] else a[1] if v[1] is True else None


def _choice(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    if v[0] is not None:
        return a[1] if v[0] else a[2]
    return a[1] if a[1] == a[2] else None


def _least(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    """A variable between two bounds that are one, as padding has it, is no variable."""
    inner = s.operations[a[0]]
    if v[1] is not None and inner.name == "max" and s.value(inner.arguments[1]) == v[1]:
        return a[1]
    return a[0] if a[0] == a[1] else None


def _convert(s: Scalars, kind: Kind, a: Arguments, v: Values) -> int | None:
    return a[0] if s.operations[a[0]].kind == kind else None


_RULES: dict[str, Callable[[Scalars, Kind, Arguments, Values], int | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "and": _and,
    "or": _or,
    "where": _choice,
    "min": _least,
    "convert": _convert,
}
