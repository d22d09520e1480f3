"""A plugin module that imports what only its factories may: a package of neither itself nor the standard library."""

from __future__ import annotations

import simplejpeg

from egoscale_sdk.host import ImporterEntry, hookimpl


@hookimpl
def egoscale_importers() -> list[ImporterEntry]:
    """An importer whose title could have waited."""
    title = f"pictures, decoded by {simplejpeg.__name__}"
    return [ImporterEntry(name="pictures", title=title, factory="egoscale_sdk.testing.fakes.heavy_plugin:importer")]
