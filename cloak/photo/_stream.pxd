# Reading of entropy-coded data, for the native modules that share it.
from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t, uint64_t

# What functions that run without the GIL return; `check` turns it into an exception.
cdef enum:
    DAMAGED = -2
    FULL = -3
    MISSING = -4
    RANGE = -5
    LOUD = -6


cdef inline uint64_t peek(const uint8_t[::1] bits, uint64_t position) except? 0x5AFE nogil:
    """At least 57 bits from `position` on, left-aligned. Both ends of the load are bounds-checked."""
    cdef size_t i = <size_t> (position >> 3)
    cdef const uint8_t* p = &bits[i]
    cdef uint64_t word
    if bits[i + 7] == p[7]:  # always true: the read is what checks the far end
        word = (
            (<uint64_t> p[0] << 56) | (<uint64_t> p[1] << 48) | (<uint64_t> p[2] << 40) | (<uint64_t> p[3] << 32)
            | (<uint64_t> p[4] << 24) | (<uint64_t> p[5] << 16) | (<uint64_t> p[6] << 8) | <uint64_t> p[7]
        )
        return word << (position & 7)
    return 0


cdef inline int32_t extend(uint32_t value, int size) noexcept nogil:
    """A coefficient from its `size` (0 to 16) additional bits (T.81 F.2.2.1)."""
    if size == 0:
        return 0
    if value >> (size - 1):
        return <int32_t> value
    return <int32_t> value - (1 << size) + 1


cdef class Stream:
    cdef const uint8_t[::1] bits
    cdef const uint64_t[::1] first, last
    cdef const int32_t[::1] component, dc, ac
    cdef const uint16_t[:, ::1] look, near
    cdef const uint32_t[:, ::1] skips
    cdef uint64_t[::1] starts, ends
    cdef int32_t[:, ::1] preds
    cdef int16_t[:, ::1] mcu
    cdef const int32_t[:, ::1] steps
    cdef uint64_t reach[10][64]
    cdef Py_ssize_t mcus, interval
    cdef int blocks
    cdef int _scan(self) except -1 nogil
    cdef int _skip(self, uint64_t* at, int32_t* pred, uint64_t limit) except -1 nogil
    cdef int _tame(self, Py_ssize_t m) except -1 nogil
    cdef uint32_t _code(self, int table, uint64_t window) except? 0xFFFFFFFF nogil
    cdef int _read(self, uint64_t* at, Py_ssize_t m, int16_t* out) except -1 nogil
    cdef uint64_t _end(self, Py_ssize_t m) except? 0 nogil


cdef int check(int status) except -1
