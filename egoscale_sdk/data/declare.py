"""Declarations: made from a spec when a dataset is created, read with care when one is opened."""

from __future__ import annotations

import json
import uuid
from typing import Any, Literal

from pydantic import ValidationError

from egoscale_sdk.errors import DeclarationError
from egoscale_sdk.specs import (
    FORMAT,
    ActionSetSpec,
    DatasetDeclaration,
    EmbodimentSpec,
    Provider,
    action_fingerprint,
    safety_digest,
)


def declare(spec: EmbodimentSpec, provider: Provider, *, fps: float, **fields: Any) -> DatasetDeclaration:
    """Declare a dataset of the embodiment ``spec``, with a fresh uid and the action set ``native``.

    Args:
        spec: The embodiment that moved.
        provider: The distribution that brought the spec.
        fps: Nominal rows per second.
        fields: Any further field of `DatasetDeclaration`, and ``lead_s`` of the native set. By default a robot's
            actions are commanded and come with a state, a person's are observed and do not.
    """
    robot = spec.kind == "robot"
    source: Literal["commanded", "observed"] = "commanded" if robot else "observed"
    native = ActionSetSpec(
        name="native",
        embodiment=spec.id,
        action_fingerprint=action_fingerprint(spec),
        hand_spaces=spec.hand_spaces,
        action_source=fields.pop("action_source", source),
        lead_s=fields.pop("lead_s", 0.0),
    )
    defaults: dict[str, Any] = {
        "uid": uuid.uuid4().hex,
        "embodiment": spec.id,
        "action_fingerprint": native.action_fingerprint,
        "safety_digest": safety_digest(spec),
        "kind": spec.kind,
        "base_frame": spec.base_frame,
        "has_state": robot,
        "wrist_source": spec.action.wrist if robot else "keypoints",
        "action_sets": (native,),
        "written_by": written_by(),
    }
    return DatasetDeclaration(spec=spec, provider=provider, fps=fps, **(defaults | fields))


def written_by() -> str:
    """Name and version of this SDK, for provenance."""
    from egoscale_sdk import __version__

    return f"egoscale-sdk {__version__}"


def parse_declaration(value: Any, where: str) -> DatasetDeclaration:
    """Validate what a file declares.

    Raises:
        DeclarationError: it is missing, newer than this SDK, malformed, or contradicts itself; names file:field.
    """
    if not isinstance(value, dict):
        raise DeclarationError("declares no embodiment", where=where, hint="import it with: egoscale import")
    newest = value.get("format", FORMAT)
    if isinstance(newest, int) and newest > FORMAT:
        raise DeclarationError(
            f"has declaration format {newest}; this SDK reads up to {FORMAT}",
            where=where,
            hint="run: pip install --upgrade egoscale-sdk",
        )
    try:
        declaration = DatasetDeclaration.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DeclarationError(first["msg"].removeprefix("Value error, "), where=f"{where}:{field}") from None
    check_declaration(declaration, where)
    return declaration


def check_declaration(declaration: DatasetDeclaration, where: str) -> None:
    """Refuse a declaration whose ids and digests do not belong to the spec that it carries."""
    spec, native = declaration.spec, declaration.native
    claims = {
        "embodiment": (declaration.embodiment, spec.id),
        "action_fingerprint": (declaration.action_fingerprint, action_fingerprint(spec)),
        "safety_digest": (declaration.safety_digest, safety_digest(spec)),
        "action_sets.0.embodiment": (native.embodiment, spec.id),
        "action_sets.0.action_fingerprint": (native.action_fingerprint, action_fingerprint(spec)),
        "action_sets.0.hand_spaces": (native.hand_spaces, spec.hand_spaces),
    }
    for field, (claimed, actual) in claims.items():
        if claimed != actual:
            raise DeclarationError(
                f"does not belong to the spec beside it: {_short(claimed)} is not {_short(actual)}",
                where=f"{where}:{field}",
                hint="the declaration was edited by hand; restore it or import again",
            )


def _short(value: Any) -> str:
    return str(value)[:80]


def in_words(value: Any) -> str:
    """Say what a field of a declaration holds, in a message; of cameras name and size."""
    if isinstance(value, tuple):
        return ", ".join(map(in_words, value)) or "none"
    name = str(getattr(value, "name", value))
    return f"{name} {value.height_px}x{value.width_px}" if hasattr(value, "height_px") else name
