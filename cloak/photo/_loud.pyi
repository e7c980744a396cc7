import numpy as np
import numpy.typing as npt

def tame(coefficients: npt.NDArray[np.int16], steps: npt.NDArray[np.int32]) -> bool: ...
