# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""Where a sequential JPEG scan ends, found by decoding it from the file's own bytes. For the verifier only.

This shares no code with the modules that write JPEGs: a fault there must not blind the look at what they wrote.
"""

from libc.math cimport M_PI, cos, fabs, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    WINDOW = 12  # bits that several symbols are looked up by; a table of 16 kB stays in the first-level cache
    # The square of the energy that a block may have: samples of 8 bits give 1024 at most (Parseval), rounding to steps
    # doubles that at most. Decoders that calculate in 16 bits may show a picture of their own from there on.
    MOST = 2048 * 2048
    # Levels from the middle past which no sample may be where several of a block can: libjpeg's C code shows black for
    # what is 512 above it, its vector code white.
    EDGE = 500
    SEVERAL = 3

# By frequency, then sample, of 8, 4 or 2 a side: what decoders make of the lowest frequencies for reduced pictures.
cdef float[9][8][8] COSINES
cdef Py_ssize_t[64] ORDER  # row * 8 + column of each coefficient as it is coded: diagonals, there and back
memset(&COSINES[0][0][0], 0, sizeof(COSINES))
for _side in (2, 4, 8):
    for _f in range(_side):
        for _i in range(_side):
            COSINES[_side][_f][_i] = <float> (cos((2 * _i + 1) * _f * M_PI / (2 * _side)) * sqrt((2 if _f else 1) / 8.0))
for _i, _f in enumerate(sorted(range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8))):
    ORDER[_i] = _f


def codebook(const uint8_t[::1] table, uint16_t[::1] out):
    """Fill (65536,) with length << 8 | symbol for each 16 bits, from DHT's 16 counts and its symbols."""
    cdef uint32_t code = 0, length, n, i, j, symbol = 16
    if table.shape[0] < 16 or out.shape[0] != 65536:
        raise ValueError("a table has a wrong size")
    for length in range(1, 17):
        n = table[length - 1]
        for i in range(n):
            for j in range(1u << (16 - length)):
                out[(code << (16 - length)) + j] = <uint16_t> (length << 8 | table[symbol])
            code += 1
            symbol += 1
        code <<= 1


def strides(const uint16_t[::1] book, uint32_t[::1] out):
    """Fill (4096,) with how far the AC symbols that a window of 12 bits begins with reach, with their values.

    Each is bits | coefficients << 8 | whether the block ends << 16 | the sum of the values' squares << 17,
    and 0 where not even one symbol fits.
    """
    cdef uint32_t window, used, skipped, entry, length, power
    if book.shape[0] != 65536 or out.shape[0] != 1 << WINDOW:
        raise ValueError("a table has a wrong size")
    for window in range(1u << WINDOW):
        used = skipped = power = 0
        out[window] = 0
        while True:
            entry = book[(window << (used + 16 - WINDOW)) & 0xFFFF]
            length = (entry >> 8) + (entry & 0x0F)
            if entry == 0 or used + length > WINDOW:
                break
            if entry & 0x0F:
                power += _square(<uint64_t> window << (64 - WINDOW + used + (entry >> 8)), entry & 0x0F)
            if power > 0x7FFF:
                break
            used += length
            if entry & 0x0F == 0 and entry & 0xF0 != 0xF0:
                out[window] = used | skipped << 8 | 1 << 16 | power << 17
                break
            skipped += (entry >> 4 & 15) + 1
            out[window] = used | skipped << 8 | power << 17


def scan_end(
    const uint8_t[::1] data,
    Py_ssize_t at,
    const uint16_t[:, ::1] books,
    const uint32_t[:, ::1] steps,
    const int32_t[::1] dc,
    const int32_t[::1] ac,
    const int32_t[:, ::1] quant,
    const uint64_t[:, ::1] coarsest,
    const int32_t[::1] component,
    Py_ssize_t units,
    Py_ssize_t interval,
):
    """The offset behind the last byte of a scan that begins at `at`, -1 if the scan breaks a rule.

    Args:
        books: (n, 65536), see `codebook`. steps: (n, 4096), see `strides`.
        dc, ac: for each block of an MCU, the row of its table.
        quant: (blocks, 64) the steps of each block of an MCU, as DQT has them. component: (blocks,) its number, 0 to 3.
        coarsest: (blocks, 64) the largest square of a step of AC up to there, no larger than 2^23 so that sums fit.
        units: MCUs of the scan. interval: MCUs between restart markers, 0 for none.

    Each interval must end with fewer than eight bits, all ones, and its restart marker must follow at once. All
    decoders must show the same of every block.
    """
    cdef Py_ssize_t end, i
    if steps.shape[0] != books.shape[0] or steps.shape[1] != 1 << WINDOW:
        raise ValueError("arrays do not fit each other")
    if books.shape[1] != 65536 or ac.shape[0] != dc.shape[0] or at < 0 or units < 1 or interval < 0:
        raise ValueError("arrays do not fit each other")
    if quant.shape[0] != dc.shape[0] or quant.shape[1] != 64 or component.shape[0] != dc.shape[0]:
        raise ValueError("arrays do not fit each other")
    if coarsest.shape[0] != dc.shape[0] or coarsest.shape[1] != 64:
        raise ValueError("arrays do not fit each other")
    for i in range(dc.shape[0]):
        if not (0 <= dc[i] < books.shape[0] and 0 <= ac[i] < books.shape[0] and 0 <= component[i] < 4):
            raise ValueError("a table out of range")
    with nogil:
        end = _scan(data, at, books, steps, dc, ac, quant, coarsest, component, units, interval)
    return end


cdef Py_ssize_t _scan(
    const uint8_t[::1] data,
    Py_ssize_t at,
    const uint16_t[:, ::1] books,
    const uint32_t[:, ::1] steps,
    const int32_t[::1] dc,
    const int32_t[::1] ac,
    const int32_t[:, ::1] quant,
    const uint64_t[:, ::1] coarsest,
    const int32_t[::1] component,
    Py_ssize_t units,
    Py_ssize_t interval,
) except -2 nogil:
    cdef Py_ssize_t unit, b, left = interval, restarts = 0, begin
    cdef uint64_t held = 0  # the next bits, from the highest down; zeros behind them
    cdef uint64_t first, power
    cdef int bits = 0, k, size, before
    cdef uint32_t entry, step
    cdef int64_t[4] brightness
    cdef double level, room
    brightness[0] = brightness[1] = brightness[2] = brightness[3] = 0
    for unit in range(units):
        if interval and left == 0:
            at = _whole(data, at, held, bits)
            if at < 0 or at + 2 > data.shape[0] or data[at] != 0xFF or data[at + 1] != 0xD0 + (restarts & 7):
                return -1
            at += 2
            restarts += 1
            held, bits, left = 0, 0, interval
            brightness[0] = brightness[1] = brightness[2] = brightness[3] = 0
        left -= 1
        for b in range(dc.shape[0]):
            # At most 16 bits of code and 15 of value; a marker or the end of the file stops the supply.
            if bits < 32:
                _refill(data, &at, &held, &bits)
            entry = books[dc[b], held >> 48]
            size = entry & 0xFF
            step = (entry >> 8) + size
            if entry == 0 or size > 15 or <int> step > bits:
                return -1
            brightness[component[b] & 3] += _value(held << (entry >> 8), size)
            level = <double> brightness[component[b] & 3] * quant[b, 0]
            held <<= step
            bits -= step
            begin, first, before, power = at, held, bits, 0
            k = 1
            while k < 64:
                if bits < 32:
                    _refill(data, &at, &held, &bits)
                entry = steps[ac[b], held >> (64 - WINDOW)]
                if entry and k + <int> (entry >> 8 & 0xFF) < 64:
                    step = entry & 0xFF
                    k += <int> (entry >> 8 & 0xFF)
                    power += (entry >> 17) * coarsest[b, k - 1]
                    k = 64 if entry >> 16 & 1 else k
                else:
                    # A long code, or the last symbols of a block: one at a time.
                    entry = books[ac[b], held >> 48]
                    step = (entry >> 8) + (entry & 0x0F)
                    if entry == 0:
                        return -1
                    if entry & 0x0F == 0 and entry & 0xF0 != 0xF0:
                        k = 64
                    else:
                        k += (entry >> 4 & 15) + 1
                        if k > 64:
                            return -1
                        power += _square(held << (entry >> 8), entry & 0x0F) * coarsest[b, k - 1]
                if <int> step > bits:
                    return -1
                held <<= step
                bits -= step
            room = EDGE - fabs(level) / 8
            if room < EDGE // 2 or power > SEVERAL * room * room:
                if not _agreed(data, begin, first, before, books[ac[b]], quant[b], level):
                    return -1
    return _whole(data, at, held, bits)


cdef bint _agreed(
    const uint8_t[::1] data,
    Py_ssize_t at,
    uint64_t held,
    int bits,
    const uint16_t[::1] book,
    const int32_t[::1] quant,
    double dc,
) except -1 nogil:
    """Whether decoders show the same of a block whose AC coefficients were walked over before."""
    cdef float[64] values
    cdef double energy = 0, room = EDGE - fabs(dc) / 8, value
    cdef uint32_t entry, step
    cdef int k = 1
    memset(&values[0], 0, sizeof(values))
    values[0] = <float> dc
    while k < 64:
        if bits < 32:
            _refill(data, &at, &held, &bits)
        entry = book[held >> 48]
        step = (entry >> 8) + (entry & 0x0F)
        if entry & 0x0F == 0 and entry & 0xF0 != 0xF0:
            break
        k += entry >> 4 & 15
        value = <double> _value(held << (entry >> 8), entry & 0x0F) * quant[k]
        energy += value * value
        values[ORDER[k]] = <float> value
        held <<= step
        bits -= step
        k += 1
    if energy + dc * dc > MOST:
        return False
    # The sum of the squares of the samples around their mean is that of AC.
    if room > 0 and energy <= SEVERAL * room * room:
        return True
    return _within(&values[0], 8) and _within(&values[0], 4) and _within(&values[0], 2)


cdef bint _within(const float* values, Py_ssize_t side) noexcept nogil:
    """Whether no sample of a block is past `EDGE`, of `side` x `side` that are made of so many frequencies."""
    cdef float[8][8] rows
    cdef float sample
    cdef Py_ssize_t f, g, x, y
    for f in range(side):
        for x in range(side):
            rows[f][x] = 0
            for g in range(side):
                rows[f][x] += values[8 * f + g] * COSINES[side][g][x]
    for y in range(side):
        for x in range(side):
            sample = 0
            for f in range(side):
                sample += rows[f][x] * COSINES[side][f][y]
            if fabs(sample) > EDGE:
                return False
    return True


cdef inline int32_t _value(uint64_t held, int size) noexcept nogil:
    """The value that the next `size` bits, 15 at most, stand for (T.81 F.1.2.1)."""
    cdef int32_t value
    if size == 0:
        return 0
    value = <int32_t> (held >> (64 - size))
    return value if held >> 63 else value - (1 << size) + 1


cdef inline uint64_t _square(uint64_t held, int size) noexcept nogil:
    cdef int64_t value = _value(held, size)
    return <uint64_t> (value * value)


cdef inline int _refill(const uint8_t[::1] data, Py_ssize_t* at, uint64_t* held, int* bits) except -1 nogil:
    """Take bytes, without stuffed zeros, until at least 32 bits are there or nothing is left before a marker."""
    cdef Py_ssize_t i = at[0], n = data.shape[0]
    cdef uint32_t word
    if i + 4 <= n:
        word = <uint32_t> data[i] << 24 | <uint32_t> data[i + 1] << 16 | <uint32_t> data[i + 2] << 8 | data[i + 3]
        # A byte 0xFF has its highest bit set, and loses it when one is added to all four.
        if not (word & 0x80808080u) & ~(word + 0x01010101u):
            held[0] |= <uint64_t> word << (32 - bits[0])
            bits[0] += 32
            at[0] = i + 4
            return 0
    while bits[0] <= 56 and i < n:
        if data[i] == 0xFF:
            if i + 1 >= n or data[i + 1] != 0:
                break
            held[0] |= <uint64_t> 0xFF << (56 - bits[0])
            i += 2
        else:
            held[0] |= <uint64_t> data[i] << (56 - bits[0])
            i += 1
        bits[0] += 8
    at[0] = i
    return 0


cdef Py_ssize_t _whole(const uint8_t[::1] data, Py_ssize_t at, uint64_t held, int bits) except -2 nogil:
    """The offset behind the last byte that was used; -1 if bits are left in it that are no ones."""
    cdef int partial = bits & 7
    if partial and held >> (64 - partial) != (1u << partial) - 1:
        return -1
    while bits >= 8:
        at -= 2 if data[at - 1] == 0 and data[at - 2] == 0xFF else 1
        bits -= 8
    return at
