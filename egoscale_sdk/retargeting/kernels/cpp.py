"""A program of one frame written out as C++, for many frames at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from egoscale_sdk.retargeting.kernels.scalars import Constant, Kind, Operation
from egoscale_sdk.retargeting.kernels.trace import Program

TYPES: dict[Kind, tuple[str, str]] = {"f32": ("f32", "float"), "f64": ("f64", "double"), "bool": ("i32", "uint8_t")}
"""Of a variable, and of an element in memory."""

READ = {
    -1: "load<{types}>(o[{operand}].data, o[{operand}].row, {element}, n)",
    0: "load<{types}>(o[{operand}].data, LANES, {element}, 0)",  # a copy of these frames, turned
    None: "shared<{types}>(o[{operand}].data, {element})",
}
WRITTEN = {
    **{"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}", "abs": "magnitude({})"},
    **{"min": "least({}, {})", "max": "most({}, {})", "sqrt": "root({})", "sin": "sine({})", "cos": "cosine({})"},
    **{"log": "logarithm({})", "exp": "exponential({})", "where": "where({}, {}, {})"},
    **{"lt": "mask({} < {})", "le": "mask({} <= {})", "eq": "mask({} == {})"},
    **{"and": "{} & {}", "or": "{} | {}", "not": "~{}", "convert": "to_{kind}({})"},
}


@dataclass(frozen=True)
class Written:
    """C++ text of a program, called as ``name(operands, frames, threads)``.

    Operands are the inputs, the two tables of constants (float32, float64), the outputs. The text itself holds none of
    a hand's constants, so that hands of the same structure, such as left and right, share it.

    Attributes:
        text: Without the prelude.
        constants: Both tables.
    """

    text: str
    constants: tuple[list[float], list[float]]


def written(name: str, program: Program) -> Written:
    """Write a program down."""
    tables: dict[Kind, dict[Constant, int]] = {"f32": {}, "f64": {}}
    lines = list(_statements(program, tables))
    inputs = len(program.inputs) + len(tables)
    text = f"""
static void block_{name}(const Operand* o, int64_t n) {{
{"".join(f"  {line};{chr(10)}" for line in lines)}}}
extern "C" void {name}(const Operand* o, int64_t frames, int threads) {{
  run_blocks(block_{name}, o, {inputs}, {inputs + len(program.outputs)}, frames, threads);
}}
"""
    return Written(text, (list(tables["f32"]), list(tables["f64"])))


def _statements(program: Program, tables: dict[Kind, dict[Constant, int]]) -> Iterator[str]:
    first_table = len(program.inputs)
    for at in program.order():
        operation = program.scalars.operations[at]
        kind = operation.kind
        if operation.name == "input":
            number, element = operation.arguments
            frames = program.inputs[number].frames
            value = READ[frames].format(types=_types(kind), operand=number, element=element)
        elif operation.name == "literal":
            value = _literal(operation, tables, first_table)
        else:
            names = [f"v{argument}" for argument in operation.arguments]
            value = WRITTEN[operation.name].format(*names, kind=kind)
        yield f"{TYPES[kind][0]} v{at} = {value}"
    for number, output in enumerate(program.outputs, start=first_table + len(tables)):
        write = "store_mask" if program.kinds[number - first_table - len(tables)] == "bool" else "store<{}>"
        for element, at in enumerate(output):
            put = write.format(_types(program.scalars.operations[at].kind))
            yield f"{put}(o[{number}].data, o[{number}].row, {element}, n, v{at})"


def _literal(operation: Operation, tables: dict[Kind, dict[Constant, int]], first_table: int) -> str:
    kind, value = operation.kind, operation.value
    if kind == "bool":
        return f"all<i32>({-int(value)})"
    if value in (0, 1, -1):
        return f"all<{TYPES[kind][0]}>({value})"
    table = tables[kind]
    element = table.setdefault(value, len(table))
    number = first_table + list(tables).index(kind)
    return READ[None].format(types=_types(kind), operand=number, element=element)


def _types(kind: Kind) -> str:
    return ", ".join(TYPES[kind])
