"""Engines: independent tasks, done in this process, in other processes or on a Ray cluster, with the same results."""

from egoscale_sdk.engine.base import Engine, LocalEngine
from egoscale_sdk.engine.choice import ENGINES, EngineName, choose_engine

__all__ = ["ENGINES", "Engine", "EngineName", "LocalEngine", "choose_engine"]
