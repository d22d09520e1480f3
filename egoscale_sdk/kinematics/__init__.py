"""Kinematics: batched forward kinematics and Jacobians of any `KinematicTree`, and a body made from a spec."""

from egoscale_sdk.kinematics.embodiment import SpecEmbodiment, wrists_of_arms
from egoscale_sdk.kinematics.forward import ForwardKinematics

__all__ = ["ForwardKinematics", "SpecEmbodiment", "wrists_of_arms"]
