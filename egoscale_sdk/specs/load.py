"""Reading an embodiment from a package: TOML files that name each other and their URDFs.

``hands``, ``arms`` and a hand's ``hand_space`` may be written in place, or as a path to a TOML file of their own,
relative to the file that names it, so that several embodiments share one hand. A hand or an arm may also be a table
whose ``file`` names that path and whose other fields replace the file's, e.g. where another hand hangs on the same
arm. Paths never leave the package.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.specs.embodiment import EmbodimentSpec
from egoscale_sdk.specs.urdf import parse_urdf

MAX_FILE_BYTES = 16 * 2**20


def load_embodiment(resource: str) -> EmbodimentSpec:
    """Load the spec that ``"package:path/embodiment.toml"`` names, with its URDFs parsed in.

    Raises:
        SpecError: a file is missing, climbs out of the package, is malformed, or a field is wrong; names file:field.
    """
    package, _, path = resource.partition(":")
    table = _read_toml(package, path)
    for key in ("hands", "arms"):
        table[key] = [_member(package, path, item) for item in table.get(key, [])]
    return parse_embodiment(table, source=resource)


def parse_embodiment(table: dict[str, Any], *, source: str) -> EmbodimentSpec:
    """Validate a table as an `EmbodimentSpec`; the error names ``source`` and the field.

    Raises:
        SpecError: a field is missing, unknown or wrong.
    """
    try:
        return EmbodimentSpec.model_validate(table)
    except SpecError as error:
        raise SpecError(error.what, where=source, allowed=error.allowed, hint=error.hint) from None
    except ValidationError as error:
        raise _first_complaint(error, source) from None


def _first_complaint(error: ValidationError, source: str) -> SpecError:
    """Turn the first of pydantic's complaints into one line; a misspelt field before one that it leaves missing."""
    complaints = sorted(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    first = complaints[0]
    where = f"{source}:{'.'.join(str(part) for part in first['loc'])}"
    if first["type"] != "extra_forbidden":
        return SpecError(first["msg"].removeprefix("Value error, "), where=where)
    schema = EmbodimentSpec.model_json_schema()
    known = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", {})}
    return SpecError("is not a field", where=where, hint=did_you_mean(str(first["loc"][-1]), known))


def _member(package: str, path: str, item: Any) -> dict[str, Any]:
    """Resolve one hand or arm: a table in place, a path, or both, with its URDF parsed into ``tree``."""
    table: dict[str, Any] = {"file": item} if isinstance(item, str) else dict(item)
    if "file" in table:
        path = _join(path, str(table.pop("file")))
        table = _read_toml(package, path) | table
    if isinstance(table.get("hand_space"), str):
        table["hand_space"] = _read_toml(package, _join(path, table["hand_space"]))
    if table.get("urdf"):
        urdf = _join(path, table["urdf"])
        table["tree"] = parse_urdf(_read_text(package, urdf), source=f"{package}:{urdf}")
        table["urdf"] = f"{package}:{urdf}"
    return table


def _join(path: str, relative: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / relative).parts:
        if part == "..":
            if not parts:
                raise SpecError(f"path {relative!r} leaves the package", where=path)
            parts.pop()
        elif part == "/" or "\\" in part:
            raise SpecError(f"path {relative!r} is not relative", where=path)
        else:
            parts.append(part)
    return "/".join(parts)


def _read_toml(package: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(package, path))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"is not valid TOML: {error}", where=f"{package}:{path}") from None


def _read_text(package: str, path: str) -> str:
    where = f"{package}:{path}"
    try:
        file = resources.files(package).joinpath(_join("", path))
        data = file.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise SpecError(f"larger than {MAX_FILE_BYTES} bytes", where=where)
        return data.decode("utf-8")
    except ModuleNotFoundError:
        raise SpecError(f"package {package!r} is not installed", where=where) from None
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise SpecError("file not found", where=where) from None
    except UnicodeDecodeError:
        raise SpecError("is not UTF-8 text", where=where) from None
