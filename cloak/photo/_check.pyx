# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""Where a sequential JPEG scan ends, found by decoding it from the file's own bytes. For the verifier only.

This shares no code with the modules that write JPEGs: a fault there must not blind the look at what they wrote.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t


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


def scan_end(
    const uint8_t[::1] data,
    Py_ssize_t at,
    const uint16_t[:, ::1] books,
    const int32_t[::1] dc,
    const int32_t[::1] ac,
    Py_ssize_t units,
    Py_ssize_t interval,
):
    """The offset behind the last byte of a scan that begins at `at`, -1 if the scan breaks a rule.

    Args:
        books: (n, 65536), see `codebook`.
        dc, ac: for each block of an MCU, the row of its table.
        units: MCUs of the scan. interval: MCUs between restart markers, 0 for none.

    Each interval must end with fewer than eight bits, all ones, and its restart marker must follow at once.
    """
    cdef Py_ssize_t end, i
    if books.shape[1] != 65536 or ac.shape[0] != dc.shape[0] or at < 0 or units < 1 or interval < 0:
        raise ValueError("arrays do not fit each other")
    for i in range(dc.shape[0]):
        if not (0 <= dc[i] < books.shape[0] and 0 <= ac[i] < books.shape[0]):
            raise ValueError("a table out of range")
    with nogil:
        end = _scan(data, at, books, dc, ac, units, interval)
    return end


cdef Py_ssize_t _scan(
    const uint8_t[::1] data,
    Py_ssize_t at,
    const uint16_t[:, ::1] books,
    const int32_t[::1] dc,
    const int32_t[::1] ac,
    Py_ssize_t units,
    Py_ssize_t interval,
) except -2 nogil:
    cdef Py_ssize_t unit, b
    cdef uint64_t held = 0
    cdef int bits = 0, k, step, ones
    cdef uint32_t entry
    cdef bint is_dc
    for unit in range(units):
        if interval and unit and unit % interval == 0:
            if held & ((1u << bits) - 1) != (1u << bits) - 1:
                return -1
            if at + 2 > data.shape[0] or data[at] != 0xFF or data[at + 1] != 0xD0 + ((unit // interval - 1) & 7):
                return -1
            at += 2
            held, bits = 0, 0
        for b in range(dc.shape[0]):
            k = 0
            while k < 64:
                # At most 16 bits of code and 15 of value; a marker or the end of the file stops the supply.
                while bits < 32 and at < data.shape[0]:
                    if data[at] == 0xFF:
                        if at + 1 >= data.shape[0] or data[at + 1] != 0:
                            break
                        held = held << 8 | 0xFF
                        at += 2
                    else:
                        held = held << 8 | data[at]
                        at += 1
                    bits += 8
                if bits >= 16:
                    entry = books[ac[b] if k else dc[b], (held >> (bits - 16)) & 0xFFFF]
                else:
                    entry = books[ac[b] if k else dc[b], (held << (16 - bits)) & 0xFFFF]
                if entry == 0:
                    return -1
                if k == 0:
                    step = entry & 0xFF
                    if step > 15:
                        return -1
                    k = 1
                else:
                    step = entry & 0x0F
                    if step == 0 and entry & 0xF0 != 0xF0:
                        k = 64
                    else:
                        k += (entry >> 4 & 15) + 1
                        if k > 64:
                            return -1
                step += entry >> 8
                if step > bits:
                    return -1
                bits -= step
        if unit + 1 == units or (interval and (unit + 1) % interval == 0):
            # Give back whole bytes, so that `at` is the byte behind the last that was used.
            while bits >= 8:
                at -= 2 if data[at - 1] == 0 and data[at - 2] == 0xFF else 1
                bits -= 8
                held >>= 8
    ones = (1 << bits) - 1
    if (held & ones) != <uint64_t> ones:
        return -1
    return at
