# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""Reads any Huffman-coded scan into an array of coefficients: progressive files, and those of several scans.

T.81 F.2 (sequential) and G.2 (progressive). Bounds checks are on, the GIL is off.
"""

cimport cython
from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from cloak.photo._stream cimport DAMAGED, extend, peek

from cloak.photo._stream import Damaged

cdef enum:
    SEQUENTIAL = 0
    DC_FIRST = 1
    DC_REFINE = 2
    AC_FIRST = 3
    AC_REFINE = 4


@cython.final
cdef class Reader:
    """One scan.

    Args:
        bits, first, last: what `_stream.unstuff` gave.
        look: (tables, 65536), see `_stream.runs`.
        blocks: for each block of an MCU of the scan, which block of the frame's MCU it is.
        component: for each of them, its component (0 to 3); dc, ac: the rows of its tables in `look`.
        out: (mcus, blocks, 64) coefficients so far, zigzag order.
    """

    cdef const uint8_t[::1] bits
    cdef const uint64_t[::1] first, last
    cdef const uint16_t[:, ::1] look
    cdef const int32_t[::1] blocks, component, dc, ac
    cdef int16_t[:, :, ::1] out
    cdef uint64_t position, limit
    cdef uint64_t window  # bits from `position` on, `held` of them; only single bits are taken from it
    cdef int held
    cdef uint32_t eobrun
    cdef int32_t pred[4]
    cdef int mode, start, end, low

    def __init__(
        self,
        const uint8_t[::1] bits,
        const uint64_t[::1] first,
        const uint64_t[::1] last,
        const uint16_t[:, ::1] look,
        const int32_t[::1] blocks,
        const int32_t[::1] component,
        const int32_t[::1] dc,
        const int32_t[::1] ac,
        int16_t[:, :, ::1] out,
    ):
        cdef Py_ssize_t i
        self.bits, self.first, self.last, self.look = bits, first, last, look
        self.blocks, self.component, self.dc, self.ac, self.out = blocks, component, dc, ac, out
        if look.shape[1] != 65536 or last.shape[0] != first.shape[0] or out.shape[2] != 64:
            raise ValueError("arrays do not fit each other")
        if component.shape[0] != blocks.shape[0] or dc.shape[0] != blocks.shape[0] or ac.shape[0] != blocks.shape[0]:
            raise ValueError("arrays do not fit each other")
        for i in range(blocks.shape[0]):
            if not (
                0 <= blocks[i] < out.shape[1] and 0 <= component[i] < 4
                and 0 <= dc[i] < look.shape[0] and 0 <= ac[i] < look.shape[0]
            ):
                raise ValueError("a block or table out of range")

    def scan(self, int mode, int start, int end, int low, Py_ssize_t interval, Py_ssize_t columns, Py_ssize_t rows,
             int across, int down, Py_ssize_t stride):
        """Read the scan.

        Args:
            mode: 0 sequential, 1 DC first, 2 DC refinement, 3 AC first, 4 AC refinement.
            start, end: the spectral selection. low: the bit position.
            interval: MCUs between restart markers.
            columns, rows: of the scan's MCUs. For a scan of one component these are its blocks, and the frame's MCU
                holds across x down of them; otherwise across = down = 1.
            stride: columns of the frame's MCUs.

        Raises `Damaged`.
        """
        cdef int status
        if (
            not 0 <= start <= end < 64 or not 0 <= low <= 13 or interval < 1 or across < 1 or down < 1
            or self.first.shape[0] != (columns * rows + interval - 1) // interval
            or ((across > 1 or down > 1) and self.blocks.shape[0] != across * down)
        ):
            raise ValueError("impossible scan")
        self.mode, self.start, self.end, self.low = mode, start, end, low
        with nogil:
            status = self._scan(interval, columns, rows, across, down, stride)
        if status < 0:
            raise Damaged("damaged entropy-coded data")

    cdef int _scan(
        self, Py_ssize_t interval, Py_ssize_t columns, Py_ssize_t rows, int across, int down, Py_ssize_t stride
    ) except -1 nogil:
        cdef Py_ssize_t unit = 0, segment, x, y
        cdef int i, b, status
        for y in range(rows):
            for x in range(columns):
                if unit % interval == 0:
                    segment = unit // interval
                    self.position, self.limit = self.first[segment], self.last[segment]
                    self.held = 0
                    self.eobrun = 0
                    for i in range(4):
                        self.pred[i] = 0
                unit += 1
                if across == 1 and down == 1:
                    for i in range(self.blocks.shape[0]):
                        status = self._block(y * stride + x, i)
                        if status < 0:
                            return status
                        if self.position > self.limit:  # the zeros behind the data last for one block
                            return DAMAGED
                else:
                    b = <int> ((y % down) * across + x % across)
                    status = self._block((y // down) * stride + x // across, b)
                    if status < 0:
                        return status
                    if self.position > self.limit:
                        return DAMAGED
        return 0

    cdef int _block(self, Py_ssize_t m, int i) except -1 nogil:
        # Checked here once: 64 coefficients lie behind the pointer, and every index below is held under 64.
        cdef int16_t* block = &self.out[m, self.blocks[i], 0]
        if self.mode == AC_FIRST:
            return self._ac_first(block, self.ac[i])
        if self.mode == AC_REFINE:
            return self._ac_refine(block, self.ac[i])
        if self.mode == DC_REFINE:
            if self._bit():
                block[0] |= <int16_t> (1 << self.low)
            return 0
        return self._with_dc(block, i)

    cdef int _with_dc(self, int16_t* block, int i) except -1 nogil:
        cdef int size = self._symbol(self.dc[i]), c = self.component[i] & 3, symbol, k
        cdef int32_t value
        if size < 0 or size > 15:
            return DAMAGED
        value = self.pred[c] + self._value(size)
        if value < -32768 >> self.low or value > 32767 >> self.low:
            return DAMAGED
        self.pred[c] = value
        block[0] = <int16_t> (value * (1 << self.low))
        if self.mode == DC_FIRST:
            return 0
        k = 1
        while k < 64:
            symbol = self._symbol(self.ac[i])
            if symbol < 0:
                return DAMAGED
            size = symbol & 15
            if size == 0:
                if symbol != 0xF0:
                    return 0
                k += 16
                continue
            k += symbol >> 4
            if k > 63:
                return DAMAGED
            block[k] = <int16_t> self._value(size)
            k += 1
        return DAMAGED if k > 64 else 0

    cdef int _ac_first(self, int16_t* block, int table) except -1 nogil:
        cdef int k = self.start, symbol, size
        cdef int32_t value
        if self.eobrun:
            self.eobrun -= 1
            return 0
        while k <= self.end:
            symbol = self._symbol(table)
            if symbol < 0:
                return DAMAGED
            size = symbol & 15
            if size == 0:
                if symbol != 0xF0:
                    self.eobrun = (1u << (symbol >> 4)) - 1 + self._raw(symbol >> 4)
                    return 0
                k += 16
                continue
            k += symbol >> 4
            if k > self.end:
                return DAMAGED
            value = self._value(size)
            if value < -32768 >> self.low or value > 32767 >> self.low:
                return DAMAGED
            block[k] = <int16_t> (value * (1 << self.low))
            k += 1
        return 0

    cdef int _ac_refine(self, int16_t* block, int table) except -1 nogil:
        cdef int k = self.start, end = self.end, symbol, run
        cdef int16_t fresh
        if self.eobrun == 0:
            while k <= end:
                symbol = self._symbol(table)
                if symbol < 0 or (symbol & 15) > 1:
                    return DAMAGED
                run, fresh = symbol >> 4, 0
                if symbol & 15:
                    fresh = <int16_t> (1 << self.low) if self._bit() else <int16_t> -(1 << self.low)
                elif run != 15:
                    self.eobrun = (1u << run) + self._raw(run)
                    break
                while k <= end:
                    if block[k]:
                        self._correct(&block[k])
                    elif run == 0:
                        break
                    else:
                        run -= 1
                    k += 1
                if fresh:
                    if k > end:
                        return DAMAGED
                    block[k] = fresh
                k += 1
        if self.eobrun:
            while k <= end:
                if block[k]:
                    self._correct(&block[k])
                k += 1
            self.eobrun -= 1
        return 0

    cdef int _correct(self, int16_t* coefficient) except -1 nogil:
        """One more bit of a coefficient that is not zero."""
        cdef int value = coefficient[0], step = 1 << self.low
        if self._bit() and ((-value if value < 0 else value) & step) == 0:
            value += -step if value < 0 else step
            coefficient[0] = <int16_t> value
        return 0

    cdef int _symbol(self, int table) except? -1 nogil:
        """The next symbol, -2 where no code fits."""
        cdef uint16_t entry = self.look[table, peek(self.bits, self.position) >> 48]
        if entry == 0:
            return DAMAGED
        self.position += entry >> 8
        self.held = 0
        return entry & 0xFF

    cdef int32_t _value(self, int size) except? -2147483648 nogil:
        return extend(self._raw(size), size)

    cdef uint32_t _raw(self, int size) except? 0xFFFFFFFF nogil:
        """The next `size` bits, 16 at most."""
        cdef uint64_t window
        if size == 0:
            return 0
        window = peek(self.bits, self.position)
        self.position += size
        self.held = 0
        return <uint32_t> (window >> (64 - size))

    cdef int _bit(self) except? -1 nogil:
        cdef int bit
        if self.held == 0:
            self.window = peek(self.bits, self.position)
            self.held = 57
        bit = <int> (self.window >> 63)
        self.window <<= 1
        self.held -= 1
        self.position += 1
        return bit
