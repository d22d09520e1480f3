"""Data: the dataset on disk, windows into it, mixtures and statistics."""

from egoscale_sdk.data.dataset import Dataset
from egoscale_sdk.data.declare import declare
from egoscale_sdk.data.episodes import EpisodeRef
from egoscale_sdk.data.loader import Loader
from egoscale_sdk.data.mixture import Mixture
from egoscale_sdk.data.order import Blocks, Permutation
from egoscale_sdk.data.scales import Scale, Statistics, pool_statistics
from egoscale_sdk.data.segment import EpisodeRows
from egoscale_sdk.data.statistics import RelativeStatistics, relative_statistics
from egoscale_sdk.data.validation import Finding, action_equals_state, validate_dataset
from egoscale_sdk.data.windows import Batch, WindowDataset

__all__ = [
    "Batch",
    "Blocks",
    "Dataset",
    "EpisodeRef",
    "EpisodeRows",
    "Finding",
    "Loader",
    "Mixture",
    "Permutation",
    "RelativeStatistics",
    "Scale",
    "Statistics",
    "WindowDataset",
    "action_equals_state",
    "declare",
    "pool_statistics",
    "relative_statistics",
    "validate_dataset",
]
