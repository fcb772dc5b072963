"""Losses: plain modules that know nothing of Lightning, one file each."""

from meddistill.losses.base import DistillationLoss, LossTerms, Step, reduce_terms

__all__ = ["DistillationLoss", "LossTerms", "Step", "reduce_terms"]
