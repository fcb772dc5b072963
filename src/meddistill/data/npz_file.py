"""Files of NumPy's arrays, .npz and .npy, read without pickles."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.errors import SettingError

ARRAY_FILES = (".npz", ".npy")
DAMAGE = (
    OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, MemoryError, zlib.error,
    zipfile.BadZipFile, NotImplementedError,
)  # fmt: skip


def load_arrays(path: Path, key: str = "data.path") -> dict[str, NDArray[Any]]:
    """The arrays of a file by their names; that of an .npy file has none.

    Args:
        path: The file.
        key: Setting that names it, for messages.

    Raises:
        SettingError: The file is missing, damaged, or holds Python objects.
    """
    if not path.is_file():
        raise SettingError(key, path, "no such file (it is looked for from where you are)")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded as archive:
            return {name: archive[name] for name in archive.files}
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file system's refusal, which is told elsewhere
        why = " ".join(str(error).split()) or type(error).__name__
        if "pickle" in why:  # NumPy's advice would be to run whatever is in it
            why = "it holds Python objects: save arrays of numbers or of text"
        mend = f"can't be read as a file of NumPy's plain arrays ({why[:200]})"
        raise SettingError(key, path, mend) from error
