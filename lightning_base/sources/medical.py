"""DICOM and NIfTI: their pixels in the units of the file."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lightning_base.runtime.formats import check_pixels, library
from lightning_base.runtime.pixels import Frame

DEFLATED = "1.2.840.10008.1.2.1.99"  # inflated as a whole before anything can be looked at


def dicom_frames(path: str, wanted: Sequence[int], deep: bool) -> Iterator[Frame]:
    """These frames (from 0) of a DICOM file: 8 bits without a rescale as grey levels, others in the rescale's units.

    Args:
        path: the file.
        wanted: the frames.
        deep: whether 8 bits are to be values too.

    Raises:
        MissingLibrary: where pydicom is not installed.
        ValueError: for what cannot be read; pydicom raises other types too.
    """
    data = _dataset(path)
    count = int(data.get("NumberOfFrames") or 1)
    for number in wanted:
        if number >= count:
            raise ValueError(f"frame {number} of {count}")
        yield _dicom_frame(data, number, count, deep)


def dicom_size(path: str) -> tuple[int, int]:
    """Height and width."""
    data = _dataset(path)
    return int(data.Rows), int(data.Columns)


def dicom_count(path: str) -> int:
    """How many frames it has."""
    return int(_dataset(path).get("NumberOfFrames") or 1)


def _dataset(path: str) -> Any:
    """A DICOM file whose size has been looked at, before its pixels are decoded."""
    pydicom: Any = library("pydicom", "DICOM")
    meta = library("pydicom.filereader", "DICOM").read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == DEFLATED:
        raise ValueError("deflated DICOM, which is not read; write it uncompressed")
    data = pydicom.dcmread(path)
    for key in ("Rows", "Columns", "PhotometricInterpretation", "BitsStored", "PixelRepresentation"):
        if data.get(key) is None:
            raise ValueError(f"no image: it has no {key}")
    check_pixels(int(data.Columns), int(data.Rows))
    return data


def _dicom_frame(data: Any, number: int, count: int, deep: bool) -> Frame:
    """One frame."""
    pixels = library("pydicom.pixels", "DICOM")
    kind = str(data.PhotometricInterpretation)
    array = np.asarray(pixels.pixel_array(data, index=number))
    mode = f"DICOM {kind}"
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and kind.startswith(("RGB", "YBR")):
        return Frame(mode, Image.fromarray(array), frames=count)
    if array.ndim != 2 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"{kind} of {data.BitsStored} bits, which is not read; write it as MONOCHROME2 or 8-bit RGB")
    signed, bits = bool(data.PixelRepresentation), int(data.BitsStored)
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    low, high = sorted(_rescaled(data, number, ends).tolist())
    inverted = kind == "MONOCHROME1"
    if bits == 8 and (low, high) == (0, 255) and not deep:
        grey = array.astype(np.uint8)
        return Frame(mode, Image.fromarray(255 - grey if inverted else grey), frames=count)
    values = _rescaled(data, number, array)
    note = "inverted, since its lowest value is white" if inverted else ""
    return Frame(mode, None, values, inverted=inverted, mirror=low + high, frames=count, note=note)


def _rescaled(data: Any, number: int, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Stored values in the units that the file says."""
    for groups, place in (("PerFrameFunctionalGroupsSequence", number), ("SharedFunctionalGroupsSequence", 0)):
        found = data.get(groups)
        if found and len(found) > place and (rescale := found[place].get("PixelValueTransformationSequence")):
            return values * float(rescale[0].RescaleSlope) + float(rescale[0].RescaleIntercept)
    modality = library("pydicom.pixels", "DICOM").apply_modality_lut
    return np.asarray(modality(values, data), dtype=np.float64)


def nifti_frames(path: str, wanted: Sequence[int], every: bool) -> Iterator[Frame]:
    """A NIfTI image of two axes, or these slices (from 0) along the third, in the units of the file.

    Rows are the first axis and columns the second, as the array stands; the affine is not applied.

    Args:
        path: the file.
        wanted: the slices.
        every: whether a volume may be read, each slice for itself.

    Raises:
        MissingLibrary: where nibabel is not installed.
        ValueError: for a volume that may not, or what cannot be read; nibabel raises other types too.
    """
    image = _nifti(path)
    count = _slices(image)
    if count > 1 and not every:
        raise ValueError(f"a volume of {count} slices; data.frames: all makes each a sample")
    for number in wanted:
        if number >= count:
            raise ValueError(f"slice {number} of {count}")
        place = (slice(None), slice(None), number, *(0 for _ in image.shape[3:]))[: len(image.shape)]
        values = np.asarray(image.dataobj[place])
        yield Frame(f"NIfTI {image.get_data_dtype()}", None, values, frames=count)


def nifti_size(path: str) -> tuple[int, int]:
    """Height and width."""
    height, width = _nifti(path).shape[:2]
    return int(height), int(width)


def nifti_count(path: str) -> int:
    """How many slices it has."""
    return _slices(_nifti(path))


def _nifti(path: str) -> Any:
    """A NIfTI file whose header alone has been read, and looked at."""
    nibabel: Any = library("nibabel", "NIfTI")
    with nibabel.imageglobals.LoggingOutputSuppressor():
        image = nibabel.load(path, mmap=False)
    if not isinstance(image, nibabel.Nifti1Image):
        raise ValueError(f"not NIfTI: {type(image).__name__}")
    if len(image.shape) < 2 or any(side != 1 for side in image.shape[3:]):
        raise ValueError(f"an array of shape {tuple(image.shape)}; images have two axes, or three with slices")
    if image.get_data_dtype().kind not in "iuf":
        raise ValueError(f"values of type {image.get_data_dtype()}, which is not read")
    check_pixels(image.shape[1], image.shape[0])
    return image


def _slices(image: Any) -> int:
    return int(image.shape[2]) if len(image.shape) > 2 else 1
