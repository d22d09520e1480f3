"""Care of a dataset: splits, merging, compaction, image sets, and what killed writers left behind."""
