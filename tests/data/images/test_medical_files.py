"""DICOM and NIfTI files are shown as viewers show them, or refused by name."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from meddistill.data.images.files import read_picture
from meddistill.errors import UserError

SHADES = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80


def dicom(path, values=SHADES, photometric="MONOCHROME2", **tags):
    """A file of 12 bits."""
    pydicom = pytest.importorskip("pydicom", reason="needs meddistill[dicom]")
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file.PhotometricInterpretation = photometric
    file.Rows, file.Columns, file.SamplesPerPixel = *values.shape[-2:], 1
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)
    return path


def nifti(path, values, **header):
    nibabel = pytest.importorskip("nibabel", reason="needs meddistill[dicom]")
    image = nibabel.Nifti1Image(values, np.eye(4))
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def test_a_dicom_without_a_window_is_shown_from_its_darkest_to_its_brightest(tmp_path):
    pixels = read_picture(dicom(tmp_path / "scan.dcm"))
    assert pixels.shape == (1, 6, 8)
    assert np.allclose(pixels[0], SHADES / SHADES.max(), atol=1e-6)


def test_a_dicoms_window_decides_what_is_black_and_white(tmp_path):
    path = dicom(tmp_path / "scan.dcm", WindowCenter=1000, WindowWidth=1001)
    pixels = read_picture(path)
    assert np.allclose(pixels[0], np.clip((SHADES - 499.5) / 1000, 0, 1), atol=2e-3)


def test_a_dicom_whose_white_is_low_is_turned_round(tmp_path):
    upright = read_picture(dicom(tmp_path / "a.dcm"))
    other = read_picture(dicom(tmp_path / "b.dcm", photometric="MONOCHROME1"))
    assert np.allclose(other, 1 - upright)


def test_a_dicoms_slope_comes_before_its_window(tmp_path):
    tags = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 1900, "WindowWidth": 2001}
    pixels = read_picture(dicom(tmp_path / "scan.dcm", **tags))
    assert np.allclose(pixels[0], np.clip((SHADES * 2.0 - 100 - 899.5) / 2000, 0, 1), atol=2e-3)


def test_a_dicom_of_several_pictures_is_refused(tmp_path):
    path = dicom(tmp_path / "scan.dcm", NumberOfFrames=3)
    with pytest.raises(UserError, match=r"scan\.dcm: holds 3 pictures"):
        read_picture(path)


def test_a_dicom_that_calls_itself_huge_is_refused(tmp_path):
    path = dicom(tmp_path / "scan.dcm", Rows=60_000, Columns=60_000)
    with pytest.raises(UserError, match=r"scan\.dcm: has 60000 x 60000 pixels; up to"):
        read_picture(path)


@pytest.mark.parametrize("cut", [10, 400, -20])
def test_a_dicom_that_is_cut_is_refused(tmp_path, cut):
    path = dicom(tmp_path / "scan.dcm")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"scan\.dcm: (can't be read|its colours)"):
        read_picture(path)


def test_a_nifti_slice_is_shown_with_its_first_axis_to_the_right(tmp_path):
    values = SHADES.astype(np.float32)[:, :, None]
    pixels = read_picture(nifti(tmp_path / "scan.nii.gz", values))
    assert pixels.shape == (1, 8, 6)
    assert np.allclose(pixels[0], np.rot90(SHADES / SHADES.max()), atol=1e-6)


def test_a_niftis_own_range_decides_what_is_black_and_white(tmp_path):
    pixels = read_picture(nifti(tmp_path / "scan.nii", SHADES.astype(np.float32), cal_max=1000))
    assert np.allclose(pixels[0], np.rot90(np.clip(SHADES / 1000, 0, 1)), atol=1e-6)


def test_a_volume_is_refused(tmp_path):
    path = nifti(tmp_path / "scan.nii", np.zeros((4, 4, 3), dtype=np.float32))
    with pytest.raises(UserError, match=r"scan\.nii: is a volume \(4 x 4 x 3\)"):
        read_picture(path)


@pytest.mark.parametrize(("name", "package"), [("a.dcm", "pydicom"), ("a.nii.gz", "nibabel")])
def test_an_absent_package_is_asked_for_with_its_extra(tmp_path, monkeypatch, name, package):
    (tmp_path / name).write_bytes(b"whatever")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"{package}, which is not .*meddistill\[dicom\]"):
        read_picture(tmp_path / name)
