"""Medical images to be read: DICOM as pydicom writes it, value by value."""

from pathlib import Path
from typing import Any

import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def write_dicom(path: Path, stored: npt.NDArray[Any], bits: int = 16, kind: str = "MONOCHROME2", **more: Any) -> None:
    """Stored values (H, W), (F, H, W) or, for RGB, (H, W, 3) as uncompressed DICOM.

    Args:
        path: where to.
        stored: of 8 or 16 bits, with or without a sign.
        bits: BitsStored.
        kind: PhotometricInterpretation.
        more: further elements by keyword, RescaleSlope among them.
    """
    data, meta = Dataset(), FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    colour = kind == "RGB"
    data.Rows, data.Columns = stored.shape[-3:-1] if colour else stored.shape[-2:]
    if stored.ndim == 3 and not colour:
        data.NumberOfFrames = len(stored)
    data.SamplesPerPixel, data.PhotometricInterpretation = 3 if colour else 1, kind
    if colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * stored.dtype.itemsize, bits, bits - 1
    data.PixelRepresentation = int(stored.dtype.kind == "i")
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    data["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"
    for key, value in more.items():
        setattr(data, key, value)
    data.file_meta = meta
    data.save_as(path, enforce_file_format=True)
