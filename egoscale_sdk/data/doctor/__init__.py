"""The doctor: what is wrong or suspicious in a dataset, judged by what the numbers do."""

from egoscale_sdk.data.doctor.examination import CHECKS, examine

__all__ = ["CHECKS", "examine"]
