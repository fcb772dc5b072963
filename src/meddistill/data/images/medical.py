"""DICOM and NIfTI files as a viewer shows them; their packages are an extra."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddistill.data.images.pixels import MOST_PIXELS, Pixels, as_picture, shape_of
from meddistill.errors import UserError

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
BEYOND = 1e9
"""A shade outside of every window."""


def read_medical(path: Path) -> Pixels:
    """The picture in a DICOM or NIfTI file, [channels, height, width]; grey is from 0 to 1.

    Raises:
        UserError: A package is absent, the file is damaged, or holds no single picture.
    """
    read = _nifti if path.name.lower().endswith((".nii", ".nii.gz")) else _dicom
    try:
        return as_picture(read(path))
    except UserError:
        raise
    except Exception as error:  # pydicom, its decoders and nibabel raise whatever they like
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file system's refusal, which is told elsewhere
        why = f"{type(error).__name__}: {error}"[:200]
        raise UserError(f"{path}: can't be read ({why}): fetch it anew, or leave it out") from error


def _dicom(path: Path) -> NDArray[Any]:
    """[height, width] or [height, width, 3], white the brightest."""
    file = _package("pydicom", path).dcmread(path)
    frames, colours = int(file.get("NumberOfFrames") or 1), file.get("PhotometricInterpretation")
    if frames > 1:
        raise UserError(f"{path}: holds {frames} pictures: save the one that counts by itself")
    if colours not in (*GREY, *COLOURS):
        raise UserError(f"{path}: its colours are {colours}: save it in grey or as RGB")
    _check_size(path, (int(file.Rows), int(file.Columns)))
    pixels = importlib.import_module("pydicom.pixels")
    values: NDArray[Any] = pixels.pixel_array(file)
    if colours in COLOURS:
        return values
    shades, least, most = _window(file, pixels, values)
    shown = _from_0_to_1(shades, least, most)
    return 1 - shown if colours == "MONOCHROME1" else shown


def _window(file: Any, pixels: Any, values: NDArray[Any]) -> tuple[NDArray[Any], float, float]:
    """Shades after the file's tables, the darkest that it shows and the brightest.

    That is the file's own window, or from its darkest to its brightest where it has none.
    """
    shades = pixels.apply_modality_lut(values, file)
    if "VOILUTSequence" in file:
        bits = int(file.VOILUTSequence[0].LUTDescriptor[2])
        return pixels.apply_voi(shades, file), 0, 2**bits - 1
    if "WindowCenter" in file:
        with np.errstate(over="ignore"):  # of a window that is a sigmoid
            ends = pixels.apply_windowing(np.array([-BEYOND, BEYOND]), file)
        return pixels.apply_windowing(shades, file), *ends.tolist()
    return shades, float(shades.min()), float(shades.max())


def _nifti(path: Path) -> NDArray[Any]:
    """[height, width], the first axis to the right and the second upwards, as viewers show them."""
    file = _package("nibabel", path).load(path)
    sides = tuple(side for side in file.shape if side > 1)
    if len(sides) > 2:
        raise UserError(
            f"{path}: is a volume ({shape_of(file.shape)}), and pictures are flat: save the slice "
            "that counts by itself, as PNG or NIfTI"
        )
    _check_size(path, sides)
    shades = file.get_fdata().reshape(file.shape[:2])
    least, most = float(file.header["cal_min"]), float(file.header["cal_max"])
    if most <= least:
        least, most = float(shades.min()), float(shades.max())
    return np.rot90(_from_0_to_1(shades, least, most))


def _from_0_to_1(shades: NDArray[Any], least: float, most: float) -> NDArray[np.float32]:
    if not (np.isfinite(least) and np.isfinite(most)):
        raise ValueError("holds shades that are missing or infinite")
    spread = (most - least) or 1.0
    scaled = (shades.astype(np.float64) - least) / spread
    return np.clip(scaled, 0, 1).astype(np.float32)


def _check_size(path: Path, sides: tuple[int, ...]) -> None:
    if np.prod(sides, dtype=np.float64) > MOST_PIXELS:
        raise UserError(
            f"{path}: has {shape_of(sides)} pixels; up to {MOST_PIXELS:,} are read: save it smaller"
        )


def _package(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"{path}: such files are read by {name}, which is not installed: "
            "pip install 'meddistill[dicom]'"
        ) from error
