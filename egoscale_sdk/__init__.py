"""EgoScale SDK: a dataset declares its embodiment, a plugin brings it, one trainer and one runtime serve all.

Importing this package loads nothing heavy; import the part that you need, e.g. ``egoscale_sdk.specs``.
"""

__version__ = "0.1.0"
