"""``egoscale embodiments``: which bodies are installed, and what is known about each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from egoscale_sdk.cli.console import emit

if TYPE_CHECKING:
    from egoscale_sdk.host import EmbodimentEntry, PluginHost


def list_(*, json: bool = False) -> None:
    """List every installed embodiment.

    Examples:
        egoscale embodiments list
        egoscale embodiments list --json

    Args:
        json: Print JSON: a list of id, title, kind, hand_spaces by side, joints, provider, error.
    """
    from egoscale_sdk.cli.card import table_of
    from egoscale_sdk.host import default_host

    host = default_host()
    rows = [_row(host, entry) for entry in host.embodiments()]
    note = host.registry.broken_note()
    emit(rows, as_json=json, text="\n".join(part for part in (table_of(rows), note) if part))


def show(id: Positional[str], *, json: bool = False) -> None:
    """Show what is known about an embodiment: hands, joints, limits, action columns, cameras, fingerprint.

    Examples:
        egoscale embodiments show acme/hand       # the highest installed generation
        egoscale embodiments show acme/hand@1 --json

    Args:
        id: namespace/name or namespace/name@N, or an alias of one.
        json: Print JSON: id, action_fingerprint, safety_digest, provider, columns, spec.
    """
    from egoscale_sdk.cli.card import card_of
    from egoscale_sdk.host import default_host
    from egoscale_sdk.ids import parse_id
    from egoscale_sdk.specs import RowLayout, action_fingerprint, safety_digest

    host = default_host()
    spec = host.spec(id)
    provider = host.provider(parse_id(spec.id).namespace)
    layout = RowLayout.of(spec.hand_spaces)
    value = {
        "id": spec.id,
        "action_fingerprint": action_fingerprint(spec),
        "safety_digest": safety_digest(spec),
        "provider": provider.model_dump(mode="json"),
        "columns": [{"name": name, "unit": unit} for name, unit in zip(layout.names, layout.units, strict=True)],
        "spec": spec.model_dump(mode="json"),
    }
    emit(value, as_json=json, text="" if json else card_of(spec, provider))


def _row(host: PluginHost, entry: EmbodimentEntry) -> dict[str, Any]:
    """Summarise one embodiment; a broken spec is listed with its error and hides no other."""
    from egoscale_sdk.errors import EgoscaleError
    from egoscale_sdk.ids import parse_id

    provider = host.provider(parse_id(entry.id).namespace)
    row: dict[str, Any] = {"id": entry.id, "provider": provider.model_dump(mode="json")}
    try:
        spec = host.spec(entry.id)
    except EgoscaleError as error:
        return row | {"error": str(error)}
    return row | {
        "title": spec.title,
        "kind": spec.kind,
        "hand_spaces": {side: space.id for side, space in spec.hand_spaces.items()},
        "joints": len(spec.joints),
        "error": None,
    }
