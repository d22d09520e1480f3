"""The plugin contributes what it says, and its spec loads."""

from egoscale_human import plugin

from egoscale_sdk.specs import load_embodiment


def test_the_entry_loads_under_its_own_id():
    (entry,) = plugin.egoscale_embodiments()
    spec = load_embodiment(entry.spec)
    assert (spec.id, spec.kind) == (entry.id, "human")
