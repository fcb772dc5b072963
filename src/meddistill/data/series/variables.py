"""Variables of new rows against those of training: what is not known is named."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from meddistill.data.tables.rows import nearest
from meddistill.errors import UserError, listed, shown

log = logging.getLogger(__name__)


def are_known(names: Sequence[str], trained: Sequence[str]) -> NDArray[np.bool_]:
    """[names] which of the variables were there in training; the others are named.

    Raises:
        UserError: None of them was.
    """
    unknown = [name for name in names if name not in trained]
    if unknown and len(unknown) == len(names):
        near = nearest(unknown[0], list(trained))
        meant = f" (is {shown(near)} meant?)" if near else ""
        raise UserError(
            f"none of the variables {listed(unknown)}{meant} was there in training, which had "
            f"{listed(trained, 20)}"
        )
    if unknown:
        log.warning("variables that were not there in training are not read: %s", listed(unknown))
    return np.array([name in trained for name in names])
