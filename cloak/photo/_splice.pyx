# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""Writes entropy-coded data: unchanged MCUs are copied bit by bit, changed ones coded anew, all without the GIL.

Every array is a memoryview with bounds checks on.
"""

cimport cython
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cloak.photo._stream cimport DAMAGED, FULL, MISSING, RANGE, Stream, check, peek

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static int cloak_bits(unsigned int v) { unsigned long i; return _BitScanReverse(&i, v) ? (int) i + 1 : 0; }
    #else
    static inline int cloak_bits(unsigned int v) { return v ? 32 - __builtin_clz(v) : 0; }
    #endif
    """
    int cloak_bits(unsigned int) noexcept nogil


cdef inline int category(int32_t value) noexcept nogil:
    """Additional bits that a coefficient takes (T.81 F.1.2.1)."""
    return cloak_bits(<uint32_t> (-value if value < 0 else value))


cdef inline size_t store(uint8_t* out, uint32_t word) noexcept nogil:
    """Four bytes of entropy-coded data, a zero behind each 0xFF; `out` has room for eight. Returns how many it took."""
    cdef size_t at = 0
    cdef int shift
    if (word & 0x80808080u) & ~(word + 0x01010101u):  # there may be a byte 0xFF
        for shift in range(24, -1, -8):
            out[at] = word >> shift & 0xFF
            at += 1
            if out[at - 1] == 0xFF:
                out[at] = 0
                at += 1
        return at
    out[0], out[1], out[2], out[3] = word >> 24, word >> 16 & 0xFF, word >> 8 & 0xFF, word & 0xFF
    return 4


@cython.final
cdef class Writer:
    """Writes entropy-coded data, or counts the symbols that it would take.

    Args:
        out: receives the bytes.
        codes: (tables, 256), length << 16 | code of each symbol, 0 for none.
        counts: (tables, 256), or None; given, symbols are counted here and nothing is written.
    """

    cdef uint8_t[::1] out
    cdef const uint32_t[:, ::1] codes
    cdef int64_t[:, ::1] counts
    cdef bint counting
    cdef size_t at
    cdef uint64_t pending
    cdef int count

    def __init__(self, uint8_t[::1] out, const uint32_t[:, ::1] codes, int64_t[:, ::1] counts=None):
        self.out, self.codes = out, codes
        self.counting = counts is not None
        if codes.shape[1] != 256 or (counts is not None and counts.shape[1] != 256):
            raise ValueError("a table has a wrong size")
        if counts is not None:
            self.counts = counts
        self.at = self.pending = self.count = 0

    @property
    def length(self):
        """Bytes written."""
        return self.at

    def splice(self, Stream source, const int64_t[::1] changed, const int16_t[:, :, ::1] coefficients):
        """The source's data with some MCUs replaced; bits of all others are copied.

        Args:
            changed: the MCUs to replace, ascending. coefficients: (n, blocks, 64), zigzag, DC absolute.

        Raises `Missing`, `Full` or `Damaged`.
        """
        cdef int status
        if (
            coefficients.shape[0] != changed.shape[0] or coefficients.shape[1] != source.blocks
            or coefficients.shape[2] != 64
        ):
            raise ValueError("arrays do not fit each other")
        with nogil:
            status = self._splice(source, changed, coefficients)
        check(status)

    def recode(
        self,
        Stream source,
        const int64_t[::1] order,
        const int32_t[::1] slots,
        const int16_t[:, :, ::1] coefficients,
        const int32_t[::1] blocks,
        const int32_t[::1] positions,
        const int16_t[::1] signs,
        Py_ssize_t interval,
        const int32_t[::1] component,
        const int32_t[::1] dc,
        const int32_t[::1] ac,
    ):
        """Write every MCU anew, turned or mirrored if asked.

        Args:
            source: where MCUs that have no slot are read from; None if all have one.
            order: for each MCU of the output, that of the source.
            slots: for each MCU of the source, its row in `coefficients`, -1 for none.
            blocks: for each block of an output MCU, that of the source MCU.
            positions, signs: for each coefficient (zigzag order), which one of the source it is, and times what.
            interval: MCUs between restart markers, 0 for none.
            component, dc, ac: for each block of an output MCU, as in `Stream`.
        """
        cdef int status, n = <int> component.shape[0]
        if (
            not 1 <= n <= 10 or blocks.shape[0] != n or dc.shape[0] != n or ac.shape[0] != n or positions.shape[0] != 64
            or signs.shape[0] != 64 or order.shape[0] != slots.shape[0] or coefficients.shape[1] != n
            or coefficients.shape[2] != 64 or (source is not None and source.blocks != n)
        ):
            raise ValueError("arrays do not fit each other")
        for i in range(n):
            if not 0 <= component[i] < 4:
                raise ValueError("a component out of range")
        if sorted(positions) != list(range(64)) or any(sign not in (1, -1) for sign in signs):
            raise ValueError("no turn")
        with nogil:
            status = self._recode(
                source, order, slots, coefficients, blocks, positions, signs, interval, component, dc, ac
            )
        check(status)

    cdef int _splice(
        self, Stream source, const int64_t[::1] changed, const int16_t[:, :, ::1] coefficients
    ) except -1 nogil:
        cdef Py_ssize_t segment, m, stop, i = 0, n = changed.shape[0]
        cdef uint64_t copied, position
        cdef int32_t pred[4]
        cdef int c, status
        cdef Py_ssize_t following
        for segment in range(source.first.shape[0]):
            if segment:
                status = self._restart(<int> ((segment - 1) & 7))
                if status < 0:
                    return status
            copied = source.first[segment]
            stop = min((segment + 1) * source.interval, source.mcus)
            following = -1  # the MCU whose DC differences must be mended
            while i < n and changed[i] < stop:
                m = changed[i]
                if m < segment * source.interval or (i and m <= changed[i - 1]):
                    return DAMAGED
                if m != following:
                    status = self._copy(source, copied, source.starts[m])
                    if status < 0:
                        return status
                    for c in range(4):
                        pred[c] = source.preds[m, c]
                memcpy(&source.mcu[0, 0], &coefficients[i, 0, 0], source.blocks * 128)
                status = self._mcu(source, pred)
                if status < 0:
                    return status
                copied = source._end(m)
                following = m + 1
                i += 1
                if following < stop and not (i < n and changed[i] == following):
                    position = copied
                    status = source._read(&position, following, &source.mcu[0, 0])
                    if status < 0:
                        return status
                    status = self._mcu(source, pred)
                    if status < 0:
                        return status
                    copied = position
                    following = -1
            status = self._copy(source, copied, source.ends[segment])
            if status < 0:
                return status
        if i != n:
            return DAMAGED
        return self._flush()

    cdef int _mcu(self, Stream source, int32_t* pred) except -1 nogil:
        """Write what `source.mcu` holds."""
        cdef int b, c, status
        for b in range(source.blocks):
            c = source.component[b] & 3
            status = self._dc(source.dc[b], source.mcu[b, 0] - pred[c])
            if status < 0:
                return status
            pred[c] = source.mcu[b, 0]
            status = self._acs(source.ac[b], &source.mcu[b, 0])
            if status < 0:
                return status
        return 0

    cdef int _acs(self, int table, const int16_t* block) except -1 nogil:
        """Write the coefficients 1 to 63 of a block; `block` points at its 64."""
        cdef int k = 1, run = 0, status
        cdef uint64_t four
        while k < 64:
            if k & 3 == 0:
                memcpy(&four, &block[k], 8)
                if four == 0:
                    run += 4
                    k += 4
                    continue
            if block[k]:
                status = self._ac(table, run, block[k])
                if status < 0:
                    return status
                run = 0
            else:
                run += 1
            k += 1
        return self._symbol(table, 0) if run else 0

    cdef int _recode(
        self,
        Stream source,
        const int64_t[::1] order,
        const int32_t[::1] slots,
        const int16_t[:, :, ::1] coefficients,
        const int32_t[::1] blocks,
        const int32_t[::1] positions,
        const int16_t[::1] signs,
        Py_ssize_t interval,
        const int32_t[::1] component,
        const int32_t[::1] dc,
        const int32_t[::1] ac,
    ) except -1 nogil:
        cdef Py_ssize_t i
        cdef int64_t m
        cdef int32_t slot
        cdef int32_t pred[4]
        cdef int b, c, k, status
        cdef uint64_t position
        cdef const int16_t* stored
        cdef int16_t turned[64]
        cdef int32_t places[64]  # the inverse of `positions`
        cdef bint still = True
        for k in range(64):
            places[positions[k] & 63] = k
            if positions[k] != k or signs[k] != 1:
                still = False
        pred[0] = pred[1] = pred[2] = pred[3] = 0
        for i in range(order.shape[0]):
            if interval and i and i % interval == 0:
                status = self._restart(<int> ((i // interval - 1) & 7))
                if status < 0:
                    return status
                pred[0] = pred[1] = pred[2] = pred[3] = 0
            m = order[i]
            slot = slots[m]
            if slot < 0:
                if source is None:
                    return DAMAGED
                position = source.starts[m]
                status = source._read(&position, m, &source.mcu[0, 0])
                if status < 0:
                    return status
            for b in range(blocks.shape[0]):
                c = component[b] & 3
                # One checked access; 64 coefficients follow.
                if slot < 0:
                    stored = &source.mcu[blocks[b], 0]
                else:
                    stored = &coefficients[slot, blocks[b], 0]
                if not still:
                    memset(&turned[0], 0, 128)
                    for k in range(64):
                        if stored[k]:
                            turned[places[k]] = stored[k] * signs[places[k]]
                    stored = &turned[0]
                status = self._dc(dc[b], stored[0] - pred[c])
                if status < 0:
                    return status
                pred[c] = stored[0]
                status = self._acs(ac[b], stored)
                if status < 0:
                    return status
        return self._flush()

    cdef int _dc(self, int table, int32_t difference) except -1 nogil:
        cdef int size = category(difference), status
        if size > 11:  # T.81 table F.1, for 8-bit samples
            return RANGE
        status = self._symbol(table, size)
        if status < 0 or size == 0:
            return status
        return self._put(<uint32_t> (difference - (difference < 0)) & ((1u << size) - 1), size)

    cdef int _ac(self, int table, int run, int32_t value) except -1 nogil:
        cdef int size = category(value), status
        if size > 10:  # T.81 table F.2
            return RANGE
        while run > 15:
            status = self._symbol(table, 0xF0)
            if status < 0:
                return status
            run -= 16
        status = self._symbol(table, run << 4 | size)
        if status < 0:
            return status
        return self._put(<uint32_t> (value - (value < 0)) & ((1u << size) - 1), size)

    cdef int _symbol(self, int table, int symbol) except -1 nogil:
        cdef uint32_t code
        if self.counting:
            self.counts[table, symbol] += 1
            return 0
        code = self.codes[table, symbol]
        if code == 0:
            return MISSING
        return self._put(code & 0xFFFF, <int> (code >> 16))

    cdef int _copy(self, Stream source, uint64_t start, uint64_t end) except -1 nogil:
        """Copy bits of the source."""
        cdef uint64_t pending = self.pending
        cdef size_t at = self.at
        if start > end:
            return DAMAGED
        if self.counting:
            return 0
        while start + 32 <= end:
            if at + 8 > <size_t> self.out.shape[0]:
                return FULL
            # As many bits are pending after each step as before.
            pending = pending << 32 | peek(source.bits, start) >> 32
            start += 32
            at += store(&self.out[at], <uint32_t> (pending >> self.count))
        self.pending, self.at = pending, at
        if start < end:
            return self._put(<uint32_t> (peek(source.bits, start) >> (64 - (end - start))), <int> (end - start))
        return 0

    cdef int _put(self, uint32_t value, int bits) except -1 nogil:
        """Append 1 to 32 bits. Fewer than 32 are pending between calls."""
        if self.counting:
            return 0
        self.pending = self.pending << bits | value
        self.count += bits
        if self.count < 32:
            return 0
        self.count -= 32
        if self.at + 8 > <size_t> self.out.shape[0]:
            return FULL
        self.at += store(&self.out[self.at], <uint32_t> (self.pending >> self.count))
        return 0

    cdef int _byte(self, uint8_t value) except -1 nogil:
        self.out[self.at] = value
        self.at += 1
        if value == 0xFF:
            self.out[self.at] = 0
            self.at += 1
        return 0

    cdef int _flush(self) except -1 nogil:
        """Fill the last byte with ones (T.81 F.1.2.3)."""
        cdef int padding = -self.count & 7
        if self.counting:
            return 0
        if self.at + 16 > <size_t> self.out.shape[0]:
            return FULL
        self.pending = self.pending << padding | ((1u << padding) - 1)
        self.count += padding
        while self.count:
            self.count -= 8
            self._byte(self.pending >> self.count & 0xFF)
        return 0

    cdef int _restart(self, int number) except -1 nogil:
        cdef int status = self._flush()
        if status < 0 or self.counting:
            return status
        if self.at + 16 > <size_t> self.out.shape[0]:
            return FULL
        self.out[self.at] = 0xFF
        self.out[self.at + 1] = 0xD0 + number
        self.at += 2
        return 0
