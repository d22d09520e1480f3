"""Every embodiment that is shipped stands in its plugin's own suite, as a vendor's would."""

from pathlib import Path

import pytest

from egoscale_sdk.host import PluginHost

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted(path.name for path in (ROOT / "plugins").iterdir() if path.is_dir())


@pytest.mark.parametrize("namespace", SHIPPED)
def test_every_embodiment_of_a_shipped_plugin_has_its_suite(namespace):
    text = (ROOT / f"plugins/{namespace}/tests/test_{namespace}_plugin.py").read_text()
    ids = [entry.id for entry in PluginHost().load(namespace).embodiments]
    assert ids
    assert [id for id in ids if f'embodiment_id = "{id}"' not in text] == []
    assert "known_failures" not in text
