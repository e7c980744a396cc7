import numpy as np
import numpy.typing as npt

PADDING: int

class Damaged(ValueError): ...
class Disputed(Damaged): ...
class Full(Exception): ...
class Missing(Exception): ...

def unstuff(
    data: bytes | memoryview,
    out: npt.NDArray[np.uint8],
    first: npt.NDArray[np.uint64],
    last: npt.NDArray[np.uint64],
) -> None: ...
def runs(look: npt.NDArray[np.uint16], near: npt.NDArray[np.uint16], out: npt.NDArray[np.uint32]) -> None: ...

class Stream:
    def __init__(
        self,
        bits: npt.NDArray[np.uint8],
        first: npt.NDArray[np.uint64],
        last: npt.NDArray[np.uint64],
        component: npt.NDArray[np.int32],
        dc: npt.NDArray[np.int32],
        ac: npt.NDArray[np.int32],
        look: npt.NDArray[np.uint16],
        near: npt.NDArray[np.uint16],
        skips: npt.NDArray[np.uint32],
        interval: int,
        starts: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint64],
        preds: npt.NDArray[np.int32],
        mcu: npt.NDArray[np.int16],
        steps: npt.NDArray[np.int32],
    ) -> None: ...
    def scan(self) -> bool: ...
    def read(self, wanted: npt.NDArray[np.int64], out: npt.NDArray[np.int16]) -> None: ...
