import numpy as np
import numpy.typing as npt

def samples(
    coefficients: npt.NDArray[np.int16],
    quant: npt.NDArray[np.int32],
    natural: npt.NDArray[np.int32],
    out: npt.NDArray[np.uint8],
) -> None: ...
def coefficients(
    samples: npt.NDArray[np.uint8],
    quant: npt.NDArray[np.int32],
    natural: npt.NDArray[np.int32],
    out: npt.NDArray[np.int16],
) -> None: ...
