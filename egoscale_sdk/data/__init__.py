"""Data: the dataset on disk, windows into it, mixtures and statistics."""

from egoscale_sdk.data.dataset import Dataset, EpisodeRef
from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.segment import EpisodeRows

__all__ = ["Dataset", "EpisodeRef", "EpisodeRows", "declare"]
