from egoscale_sdk.host import EmbodimentEntry, hookimpl


@hookimpl
def egoscale_embodiments():
    """The hands of a GR-1; its arms are in the recording but no arm model is at hand."""
    return [EmbodimentEntry(id="fourier/gr1_hands@1", spec="tests.gr1_vendor:embodiment.toml")]
