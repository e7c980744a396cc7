import numpy as np
import numpy.typing as npt

def samples(
    coefficients: npt.NDArray[np.int16],
    first: int,
    quant: npt.NDArray[np.int32],
    natural: npt.NDArray[np.int32],
    plane: npt.NDArray[np.uint8],
    h: int,
    v: int,
) -> None: ...
def coefficients(
    plane: npt.NDArray[np.uint8],
    chosen: npt.NDArray[np.int64],
    first: int,
    quant: npt.NDArray[np.int32],
    natural: npt.NDArray[np.int32],
    out: npt.NDArray[np.int16],
    h: int,
    v: int,
) -> None: ...
