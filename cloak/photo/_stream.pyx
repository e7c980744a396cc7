# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""Reads the entropy-coded data of sequential Huffman JPEGs, MCU by MCU, without the GIL.

Every array is a memoryview with bounds checks on. Data errors are found by explicit checks and end in `Damaged`.
"""

cimport cython
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from cloak.photo._loud cimport FARTHEST, LOUDEST, SEVERAL, loud
from cloak.photo._stream cimport DAMAGED, FULL, LOUD, MISSING, RANGE, extend, peek

# Bits of the window that the table of runs is indexed by. 4096 entries of 4 bytes stay in the first-level cache.
cdef enum:
    WINDOW = 12
    TAIL = 264

# A block takes at most 64 * (16 + 15) bits: with so many zero bytes behind the data no read within one leaves it.
PADDING = TAIL


class Damaged(ValueError):
    """The entropy-coded data breaks the rules of T.81."""


class Disputed(Damaged):
    """Decoders show different pictures of a block."""


class Full(Exception):
    """The output buffer is too small."""


class Missing(Exception):
    """A symbol is needed for which the Huffman tables have no code."""


cdef int check(int status) except -1:
    if status >= 0:
        return status
    if status == FULL:
        raise Full
    if status == MISSING:
        raise Missing
    if status == RANGE:
        raise Damaged("a coefficient is out of range")
    if status == LOUD:
        raise Disputed("it has blocks that decoders do not agree on")
    raise Damaged("damaged entropy-coded data")


def unstuff(const uint8_t[::1] data, uint8_t[::1] out, uint64_t[::1] first, uint64_t[::1] last):
    """Entropy-coded data without stuffed zeros, markers and fill bytes.

    Args:
        data: from behind SOS to the next marker that is no restart marker.
        out: at least as long as `data`, plus `PADDING`; the tail is cleared.
        first, last: receive the bits at which each restart interval begins and ends; one element each interval.

    Raises `Damaged` if restart markers are missing, out of order or too many.
    """
    cdef size_t i = 0, o = 0, n = data.shape[0], run, segment = 0, segments = first.shape[0]
    cdef const uint8_t* found
    cdef uint8_t code
    if out.shape[0] < data.shape[0] + TAIL or last.shape[0] != first.shape[0] or segments < 1 or n < 1:
        raise Damaged("no entropy-coded data")
    with nogil:
        first[0] = 0
        while i < n:
            found = <const uint8_t*> memchr(&data[i], 0xFF, n - i)
            run = n - i if found == NULL else <size_t> (found - &data[i])
            if run:
                memcpy(&out[o], &data[i], run)
                i += run
                o += run
            if found == NULL:
                break
            i += 1
            if i < n and data[i] == 0:
                out[o] = 0xFF
                o += 1
                i += 1
                continue
            while i < n and data[i] == 0xFF:
                i += 1
            if i >= n:
                break  # fill bytes before the marker that ends the scan
            code = data[i]
            i += 1
            last[segment] = 8 * o
            if code != 0xD0 + (segment & 7) or segment + 1 >= segments:
                with gil:
                    raise Damaged("restart markers out of order")
            segment += 1
            first[segment] = 8 * o
        last[segment] = 8 * o
        memset(&out[o], 0, TAIL)  # in bounds: o is at most the length of `data`
    if segment + 1 != segments:
        raise Damaged("restart markers are missing")


def runs(const uint16_t[::1] look, uint16_t[::1] near, uint32_t[::1] out):
    """Two small tables for most of the work, so that the large one hardly displaces data from the caches.

    Args:
        look: 65536 entries, (length << 8) + symbol of the code that a 16-bit window begins with, 0 for none.
        near: 1024 entries, receives the codes of ten bits and less, 0 where they are longer.
        out: 4096 entries, receives for each window of bits how far the AC symbols that begin in it reach: bits |
            coefficients << 8 | end of block << 16 | the most that their squares come to << 17, 0 where the first code
            is longer.
    """
    cdef uint32_t window, bits, coefficients, code, symbol, size, squares, value
    if look.shape[0] != 65536 or near.shape[0] != 1024 or out.shape[0] != 1 << WINDOW:
        raise ValueError("a table has a wrong size")
    for window in range(1024):
        code = look[window << 6]
        near[window] = code if code >> 8 <= 10 else 0
    for window in range(1 << WINDOW):
        bits = coefficients = squares = 0
        out[window] = 0
        while bits < WINDOW:
            code = look[(window << (16 - WINDOW) << bits) & 0xFFFF]
            symbol, size = code & 0xFF, code & 15
            value = (window << bits << (code >> 8)) & ((1 << WINDOW) - 1)
            squares += square(value >> (WINDOW - size), size) if bits + (code >> 8) + size <= WINDOW else most(size)
            if code == 0 or bits + (code >> 8) > WINDOW or squares >> 15:
                break
            bits += (code >> 8) + size
            if size == 0 and symbol != 0xF0:
                # End of block; a run without a coefficient other than 15 is one too for libjpeg, as here.
                out[window] = bits | coefficients << 8 | 1 << 16 | squares << 17
                break
            coefficients += (symbol >> 4) + 1
            out[window] = bits | coefficients << 8 | squares << 17


cdef inline uint32_t most(uint32_t size) noexcept nogil:
    """The largest square of a coefficient of so many additional bits, up to 15."""
    return ((1u << size) - 1) * ((1u << size) - 1)


cdef inline uint32_t square(uint32_t value, int size) noexcept nogil:
    """The square of the coefficient that has these additional bits, up to 15."""
    cdef int32_t coefficient = extend(value, size)
    return <uint32_t> (coefficient * coefficient)


@cython.final
cdef class Stream:
    """The MCUs of one interleaved sequential scan.

    Args:
        bits: what `unstuff` gave. first, last: likewise.
        component: for each block of an MCU, its component (0 to 3).
        dc, ac: for each block, the row of its table in `look`, `near` and `skips`.
        look: (tables, 65536), near: (tables, 1024), skips: (tables, 4096), see `runs`.
        mcus: how many there are. interval: MCUs a restart interval.
        starts: (mcus,) first bit of each MCU. preds: (mcus, 4) its DC predictors. ends: last bit used of each interval.
            Filled by `scan`.
        mcu: (blocks, 64), room for one. steps: (blocks, 64) of quantisation, zigzag order.
    """

    def __init__(
        self,
        const uint8_t[::1] bits,
        const uint64_t[::1] first,
        const uint64_t[::1] last,
        const int32_t[::1] component,
        const int32_t[::1] dc,
        const int32_t[::1] ac,
        const uint16_t[:, ::1] look,
        const uint16_t[:, ::1] near,
        const uint32_t[:, ::1] skips,
        Py_ssize_t interval,
        uint64_t[::1] starts,
        uint64_t[::1] ends,
        int32_t[:, ::1] preds,
        int16_t[:, ::1] mcu,
        const int32_t[:, ::1] steps,
    ):
        self.bits, self.first, self.last = bits, first, last
        self.component, self.dc, self.ac, self.look, self.near, self.skips = component, dc, ac, look, near, skips
        self.starts, self.ends, self.preds, self.mcu, self.steps = starts, ends, preds, mcu, steps
        self.mcus, self.interval, self.blocks = starts.shape[0], interval, <int> component.shape[0]
        if (
            not 1 <= self.blocks <= 10 or dc.shape[0] != self.blocks or ac.shape[0] != self.blocks
            or look.shape[1] != 65536 or skips.shape[1] != 1 << WINDOW or skips.shape[0] != look.shape[0]
            or near.shape[0] != look.shape[0] or near.shape[1] != 1024
            or preds.shape[0] != self.mcus or preds.shape[1] != 4 or mcu.shape[0] != self.blocks or mcu.shape[1] != 64
            or steps.shape[0] != self.blocks or steps.shape[1] != 64
            or interval < 1 or first.shape[0] != (self.mcus + interval - 1) // interval
            or last.shape[0] != first.shape[0] or ends.shape[0] != first.shape[0]
        ):
            raise ValueError("arrays do not fit each other")
        for i in range(self.blocks):
            if not (0 <= component[i] < 4 and 0 <= dc[i] < look.shape[0] and 0 <= ac[i] < look.shape[0]):
                raise ValueError("a component or table out of range")
            # The largest square of an AC step so far; one over the bound is as good as any, and sums stay in 64 bits.
            self.reach[i][0] = 0
            for k in range(1, 64):
                self.reach[i][k] = max(self.reach[i][k - 1], <uint64_t> min(steps[i, k], LOUDEST + 1) ** 2)

    def scan(self):
        """Find every MCU; returns whether bytes are left over behind the last MCU of an interval.

        Raises `Damaged`, also where decoders do not agree on what a block shows.
        """
        cdef int status
        with nogil:
            status = self._scan()
        return bool(check(status))

    def read(self, const int64_t[::1] wanted, int16_t[:, :, ::1] out):
        """Coefficients of the wanted MCUs, (n, blocks, 64) in zigzag order, DC absolute. Needs `scan` before."""
        cdef Py_ssize_t i
        cdef int status = 0
        cdef uint64_t position
        if out.shape[0] != wanted.shape[0] or out.shape[1] != self.blocks or out.shape[2] != 64:
            raise ValueError("arrays do not fit each other")
        with nogil:
            for i in range(wanted.shape[0]):
                position = self.starts[wanted[i]]
                status = self._read(&position, wanted[i], &out[i, 0, 0])
                if status < 0:
                    break
        check(status)

    cdef int _scan(self) except -1 nogil:
        cdef Py_ssize_t segment, m, stop
        cdef uint64_t position, limit
        cdef int32_t pred[4]
        cdef int i, status, left = 0
        for segment in range(self.first.shape[0]):
            position, limit = self.first[segment], self.last[segment]
            pred[0] = pred[1] = pred[2] = pred[3] = 0
            stop = min((segment + 1) * self.interval, self.mcus)
            for m in range(segment * self.interval, stop):
                self.starts[m] = position
                for i in range(4):
                    self.preds[m, i] = pred[i]
                status = self._skip(&position, pred, limit)
                if status > 0:
                    status = self._tame(m)
                if status < 0:
                    return status
            self.ends[segment] = position
            left |= limit - position >= 8
        return left

    cdef int _skip(self, uint64_t* at, int32_t* pred, uint64_t limit) except -1 nogil:
        """Step over one MCU and follow its DC values; returns 1 where a block may be loud, else 0."""
        cdef uint64_t position = at[0], window, energy
        cdef uint32_t entry, used, length, size
        cdef int b, k, ac, doubt = 0
        cdef int32_t value
        cdef int64_t dc, room
        for b in range(self.blocks):
            window = peek(self.bits, position)
            entry = self._code(self.dc[b], window)
            length, size = entry >> 8, entry & 0xFF
            if entry == 0 or size > 15:
                return DAMAGED
            used = length + size
            if size:
                value = pred[self.component[b] & 3] + extend(<uint32_t> ((window << length) >> (64 - size)), size)
                if value < -32768 or value > 32767:
                    return RANGE
                pred[self.component[b] & 3] = value
            dc = <int64_t> pred[self.component[b] & 3] * self.steps[b, 0]
            room = FARTHEST - ((-dc if dc < 0 else dc) + 7) // 8
            energy = 0
            window <<= used
            ac = self.ac[b]
            k = 1
            while k < 64:
                if used > 57 - 31:  # the longest step takes 16 + 15 bits
                    position += used
                    used = 0
                    window = peek(self.bits, position)
                entry = self.skips[ac, window >> (64 - WINDOW)]
                if entry and k + <int> ((entry >> 8) & 0xFF) < 64:
                    length = entry & 0xFF
                    k += (entry >> 8) & 0xFF
                    used += length
                    window <<= length
                    energy += (entry >> 17) * self.reach[b][(k - 1) & 63]
                    if entry >> 16 & 1:
                        break
                    continue
                # A long code, or the last symbols of a block: one at a time.
                entry = self.look[ac, window >> 48]
                if entry == 0:
                    return DAMAGED
                length, size = entry >> 8, entry & 15
                used += length + size
                window <<= length
                if size == 0 and (entry & 0xFF) != 0xF0:
                    break
                k += ((entry >> 4) & 15) + 1
                if size:
                    energy += square(<uint32_t> (window >> (64 - size)), size) * self.reach[b][(k - 1) & 63]
                    window <<= size
            if k > 64:
                return DAMAGED
            position += used
            if position > limit:
                return DAMAGED
            # See `loud`; with a mean of half of that at most, what has room is within LOUDEST, too.
            if room < FARTHEST // 2 or energy > <uint64_t> (SEVERAL * room * room):
                doubt = 1
        at[0] = position
        return doubt

    cdef int _tame(self, Py_ssize_t m) except -1 nogil:
        """Read MCU `m` to know whether a block of it is loud."""
        cdef uint64_t position = self.starts[m]
        cdef int b, status = self._read(&position, m, &self.mcu[0, 0])
        for b in range(self.blocks):
            if status == 0 and loud(&self.mcu[b, 0], &self.steps[b, 0]):
                status = LOUD
        return status

    cdef int _read(self, uint64_t* at, Py_ssize_t m, int16_t* out) except -1 nogil:
        """Decode MCU `m`, which begins at `at`, into `out`, which has room for its blocks."""
        cdef uint64_t position = at[0], window
        cdef uint32_t entry, used, length, size
        cdef int b, k, ac, c
        cdef int32_t pred[4]
        cdef int16_t* block
        for c in range(4):
            pred[c] = self.preds[m, c]
        memset(out, 0, self.blocks * 128)
        for b in range(self.blocks):
            block = out + 64 * b  # k is held under 64
            window = peek(self.bits, position)
            entry = self._code(self.dc[b], window)
            length, size = entry >> 8, entry & 0xFF
            if entry == 0 or size > 15:
                return DAMAGED
            c = self.component[b] & 3
            if size:
                pred[c] += extend(<uint32_t> ((window << length) >> (64 - size)), size)
            if pred[c] < -32768 or pred[c] > 32767:
                return RANGE
            block[0] = <int16_t> pred[c]
            used = length + size
            window <<= used
            ac = self.ac[b]
            k = 1
            while k < 64:
                if used > 57 - 31:  # the longest step takes 16 + 15 bits
                    position += used
                    used = 0
                    window = peek(self.bits, position)
                entry = self._code(ac, window)
                if entry == 0:
                    return DAMAGED
                length, size = entry >> 8, entry & 15
                used += length + size
                if size == 0:
                    if (entry & 0xFF) != 0xF0:
                        break
                    window <<= length
                    k += 16
                    continue
                window <<= length
                k += (entry >> 4) & 15
                if k > 63:
                    return DAMAGED
                block[k] = <int16_t> extend(<uint32_t> (window >> (64 - size)), size)
                window <<= size
                k += 1
            if k > 64:
                return DAMAGED
            position += used
        at[0] = position
        return 0

    cdef inline uint32_t _code(self, int table, uint64_t window) except? 0xFFFFFFFF nogil:
        """length << 8 | symbol of the code that a window begins with, 0 for none."""
        cdef uint32_t entry = self.near[table, window >> 54]
        return entry if entry else self.look[table, window >> 48]

    cdef uint64_t _end(self, Py_ssize_t m) except? 0 nogil:
        """The first bit behind MCU `m`."""
        if m + 1 >= self.mcus or (m + 1) % self.interval == 0:
            return self.ends[m // self.interval]
        return self.starts[m + 1]
