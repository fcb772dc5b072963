"""Columns of float32 and float16: what was written in them, not what float64 makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray


def is_narrow(dtype: Any) -> bool:
    """Whether a column's cells, or its categories, are floats of fewer digits than float64."""
    if isinstance(dtype, pd.CategoricalDtype):
        return is_narrow(dtype.categories.dtype)
    dense = getattr(dtype, "subtype", dtype)  # of a sparse column
    return dtype.kind == "f" and bool(dense.itemsize < 8)


def widened(cells: pd.Series[Any]) -> pd.Series[Any]:
    """The column with the shortest decimals that name its cells, if these are narrow.

    0.7 of float32 is 0.699999988 to float64, which lies below a cut at 0.7. The same table's CSV
    file says 0.7, and a model is to answer both alike.
    """
    if not is_narrow(cells.dtype):
        return cells
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return cells.cat.rename_categories(_shortest(cells.cat.categories.to_numpy()).tolist())
    narrow = cells.to_numpy(dtype=np.float32, na_value=np.nan)
    if cells.dtype == np.float16:
        narrow = narrow.astype(np.float16)
    return pd.Series(_shortest(narrow), index=cells.index, name=cells.name)


def _shortest(narrow: NDArray[Any]) -> NDArray[np.float64]:
    if narrow.dtype == np.float16:  # Arrow writes what float32 makes of it; few are different
        different, places = np.unique(narrow, return_inverse=True)
        few: NDArray[np.float64] = different.astype(str).astype(np.float64)[places]
        return few
    texts = pa.array(narrow).cast(pa.string())  # several times as fast as NumPy
    return np.array(texts.cast(pa.float64()))
