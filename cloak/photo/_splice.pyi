import numpy as np
import numpy.typing as npt

from cloak.photo._stream import Stream

class Writer:
    def __init__(
        self,
        out: npt.NDArray[np.uint8],
        codes: npt.NDArray[np.uint32],
        counts: npt.NDArray[np.int64] | None = None,
    ) -> None: ...
    @property
    def length(self) -> int: ...
    def splice(self, source: Stream, changed: npt.NDArray[np.int64], coefficients: npt.NDArray[np.int16]) -> None: ...
    def recode(
        self,
        source: Stream | None,
        order: npt.NDArray[np.int64],
        slots: npt.NDArray[np.int32],
        coefficients: npt.NDArray[np.int16],
        blocks: npt.NDArray[np.int32],
        positions: npt.NDArray[np.int32],
        signs: npt.NDArray[np.int16],
        interval: int,
        component: npt.NDArray[np.int32],
        dc: npt.NDArray[np.int32],
        ac: npt.NDArray[np.int32],
    ) -> None: ...
