"""What a measure's name says: which way it is better, its bounds; imports nothing heavy."""

from __future__ import annotations

import math

HALF = 0.5
"""The threshold by default, which calls the likelier of two classes."""
BENT = (
    "its probabilities are not those of the true prior: classes out of balance were treated, and "
    "the answers left bent (imbalance=logit_adjustment, or imbalance.correct=false), so that they "
    "are no risks"
)
"""What is to be said of such a model, after its name."""

SHARES = ("auroc", "accuracy", "average_precision", "sensitivity", "specificity",
          "calibration_error")  # fmt: skip
"""How the names of measures between 0 and 1 begin."""


def lower_is_better(name: str) -> bool:
    """True for losses, errors and the Brier score; `name` may carry a prefix such as `val/`."""
    return name.removesuffix("_scaled").endswith(("loss", "error", "brier"))


def largest_difference(name: str) -> float:
    """How far two values of a measure can differ; `name` may carry a prefix such as `test/`."""
    bare = name.rpartition("/")[2]
    if bare.startswith("brier"):
        return 2.0  # with more than two classes; 1 with two
    return 1.0 if bare.startswith(SHARES) else math.inf
