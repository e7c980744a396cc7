import numpy as np
import numpy.typing as npt

def codebook(table: bytes, out: npt.NDArray[np.uint16]) -> None: ...
def strides(book: npt.NDArray[np.uint16], out: npt.NDArray[np.uint32]) -> None: ...
def scan_end(
    data: bytes,
    at: int,
    books: npt.NDArray[np.uint16],
    steps: npt.NDArray[np.uint32],
    dc: npt.NDArray[np.int32],
    ac: npt.NDArray[np.int32],
    quant: npt.NDArray[np.int32],
    coarsest: npt.NDArray[np.uint64],
    component: npt.NDArray[np.int32],
    units: int,
    interval: int,
) -> int: ...
