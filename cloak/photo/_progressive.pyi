import numpy as np
import numpy.typing as npt

class Reader:
    def __init__(
        self,
        bits: npt.NDArray[np.uint8],
        first: npt.NDArray[np.uint64],
        last: npt.NDArray[np.uint64],
        look: npt.NDArray[np.uint16],
        blocks: npt.NDArray[np.int32],
        component: npt.NDArray[np.int32],
        dc: npt.NDArray[np.int32],
        ac: npt.NDArray[np.int32],
        out: npt.NDArray[np.int16],
    ) -> None: ...
    def scan(
        self,
        mode: int,
        start: int,
        end: int,
        low: int,
        interval: int,
        columns: int,
        rows: int,
        across: int,
        down: int,
        stride: int,
    ) -> None: ...
