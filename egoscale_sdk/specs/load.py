"""Reading an embodiment from a package: TOML files that name each other and their URDFs.

``hands``, ``arms`` and a hand's ``hand_space`` may be written in place, or as a path to a TOML file of their own,
relative to the file that names it, so that several embodiments share one hand. A hand or an arm may also be a table
whose ``file`` names that path and whose other fields replace the file's, e.g. where another hand hangs on the same
arm. Paths never leave the package.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.specs.embodiment import EmbodimentSpec
from egoscale_sdk.specs.tree import KinematicTree
from egoscale_sdk.specs.urdf import parse_urdf

MAX_FILE_BYTES = 16 * 2**20
Location = tuple[str | int, ...]  # of a field, e.g. ("hands", 0, "joints")


def load_embodiment(resource: str) -> EmbodimentSpec:
    """Load the spec that ``"package:path/embodiment.toml"`` names, with its URDFs parsed in.

    Raises:
        SpecError: a file is missing, climbs out of the package, is malformed, or a field is wrong; names file:field.
    """
    package, _, path = resource.partition(":")
    table = _read_toml(package, path)
    files: dict[Location, str] = {}
    for key in ("hands", "arms"):
        members = table.get(key, [])
        if not isinstance(members, list):
            raise SpecError("must be a list of paths or tables", where=f"{resource}:{key}")
        table[key] = [_member(package, path, (key, index), item, files) for index, item in enumerate(members)]
    return parse_embodiment(table, source=resource, files=files)


def parse_embodiment(
    table: dict[str, Any], *, source: str, files: Mapping[Location, str] | None = None
) -> EmbodimentSpec:
    """Validate a table as an `EmbodimentSpec`; numbers must be numbers, not text or booleans.

    Args:
        table: Values as TOML or JSON gives them; a ``tree`` may be a `KinematicTree`.
        source: What the error names.
        files: How parts of the table that were read from other files are called, by location: what goes before the
            rest of a field's path, e.g. ``{("hands", 0): "acme:hand.toml:"}``.

    Raises:
        SpecError: a field is missing, unknown or wrong; names file:field.
    """
    try:  # by way of JSON, because pydantic's strict mode takes its lists for tuples, but not Python's
        return EmbodimentSpec.model_validate_json(json.dumps(table, default=_plain), strict=True)
    except ValidationError as error:
        raise _first_complaint(error, source, files or {}) from None


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, KinematicTree) else str(value)


def _first_complaint(error: ValidationError, source: str, files: Mapping[Location, str]) -> SpecError:
    """Turn the first of pydantic's complaints into one line; a misspelt field before one that it leaves missing."""
    complaints = sorted(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    first = complaints[0]
    where = _file_and_field(first["loc"], source, files)
    if first["type"] != "extra_forbidden":
        return SpecError(first["msg"].removeprefix("Value error, "), where=where)
    schema = EmbodimentSpec.model_json_schema()
    known = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", {})}
    return SpecError("is not a field", where=where, hint=did_you_mean(str(first["loc"][-1]), known))


def _file_and_field(location: Location, source: str, files: Mapping[Location, str]) -> str:
    """Name the file that the field was read from, and the field as it is called there."""
    start = max((part for part in files if location[: len(part)] == part), key=len, default=())
    rest = ".".join(str(part) for part in location[len(start) :])
    return (files.get(start, f"{source}:") + rest).rstrip(":.")


def _member(package: str, path: str, at: Location, item: Any, files: dict[Location, str]) -> dict[str, Any]:
    """Resolve one hand or arm: a table in place, a path, or both, with its URDF parsed into ``tree``."""
    where = f"{package}:{path}:{'.'.join(map(str, at))}"
    if not isinstance(item, str | dict):
        raise SpecError(f"must be a path or a table, is {item!r}", where=where)
    table: dict[str, Any] = {"file": item} if isinstance(item, str) else dict(item)
    if "file" in table:
        path = _join(path, _text(table.pop("file"), f"{where}.file"))
        files |= {(*at, key): f"{where}.{key}." for key in table}
        files[at] = f"{package}:{path}:"
        table = _read_toml(package, path) | table
    if isinstance(table.get("hand_space"), str):
        space = _join(path, table["hand_space"])
        files[(*at, "hand_space")] = f"{package}:{space}:"
        table["hand_space"] = _read_toml(package, space)
    if table.get("urdf"):
        urdf = _join(path, _text(table["urdf"], f"{package}:{path}:urdf"))
        table["tree"] = parse_urdf(_read_text(package, urdf), source=f"{package}:{urdf}")
        table["urdf"] = f"{package}:{urdf}"
    return table


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise SpecError(f"must be a path, is {value!r}", where=where)
    return value


def _join(path: str, relative: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / relative).parts:
        if part == "..":
            if not parts:
                raise SpecError(f"path {relative!r} leaves the package", where=path)
            parts.pop()
        elif part == "/" or "\\" in part or "\0" in part:
            raise SpecError(f"path {relative!r} is not relative", where=path)
        else:
            parts.append(part)
    return "/".join(parts)


def _read_toml(package: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(package, path))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"is not valid TOML: {error}", where=f"{package}:{path}") from None
    except RecursionError:
        raise SpecError("is nested too deeply", where=f"{package}:{path}") from None


def _read_text(package: str, path: str) -> str:
    where = f"{package}:{path}"
    if not package.replace(".", "_").isidentifier() or package.startswith("."):
        raise SpecError("is not of the form package:path", where=where, hint="e.g. acme_hands:hand/embodiment.toml")
    try:
        with resources.files(package).joinpath(_join("", path)).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SpecError(f"larger than {MAX_FILE_BYTES} bytes", where=where)
        return data.decode("utf-8")
    except ModuleNotFoundError:
        raise SpecError(f"package {package!r} is not installed", where=where) from None
    except TypeError:  # a module is no package: it holds no files
        raise SpecError(f"{package!r} is not a package", where=where) from None
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise SpecError("file not found", where=where) from None
    except UnicodeDecodeError:
        raise SpecError("is not UTF-8 text", where=where) from None
