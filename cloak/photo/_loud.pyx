# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""Finds blocks whose coefficients are so large that decoders show different pictures."""

from libc.math cimport M_PI, cos, fabs, sqrt
from libc.stdint cimport int16_t, int32_t
from libc.string cimport memset

from cloak.photo.jpeg_header import ZIGZAG

cdef Py_ssize_t[64] PLACES
# For the n = 8, 4 or 2 samples a side that a decoder makes of the n lowest frequencies: by frequency, then sample.
cdef float[9][8][8] WAVES
memset(&WAVES[0][0][0], 0, sizeof(WAVES))
cdef Py_ssize_t _n, _u, _x
for _u in range(64):
    PLACES[_u] = ZIGZAG[_u]
for _n in (8, 4, 2):
    for _u in range(_n):
        for _x in range(_n):
            WAVES[_n][_u][_x] = <float> (sqrt((2 if _u else 1) / 8.0) * cos((2 * _x + 1) * _u * M_PI / (2 * _n)))


def tame(const int16_t[:, :, ::1] coefficients, const int32_t[:, ::1] steps):
    """Whether decoders agree on what (MCUs, blocks, 64) coefficients show; `steps` are (blocks, 64)."""
    cdef Py_ssize_t m, b
    cdef bint found = False
    if coefficients.shape[2] != 64 or steps.shape[0] != coefficients.shape[1] or steps.shape[1] != 64:
        raise ValueError("arrays do not fit each other")
    with nogil:
        for m in range(coefficients.shape[0]):
            for b in range(coefficients.shape[1]):
                found |= loud(&coefficients[m, b, 0], &steps[b, 0])
    return not found


cdef bint loud(const int16_t* block, const int32_t* steps) noexcept nogil:
    """Whether 64 coefficients, zigzag order, are more than all decoders agree on."""
    cdef double energy = 0, value, mean = fabs(<double> block[0] * steps[0] / 8), room = FARTHEST - mean
    cdef float[64] stretched
    cdef Py_ssize_t k, n
    for k in range(1, 64):
        value = <double> block[k] * steps[k]
        energy += value * value
    if energy + 64 * mean * mean > LOUDEST * LOUDEST:
        return True
    # Several samples that far take so much energy (Parseval), and a single one does of a picture at half size.
    if room > 0 and energy <= SEVERAL * room * room:
        return False
    for k in range(64):
        stretched[PLACES[k]] = <float> block[k] * steps[k]
    n = 8
    while n > 1:
        if farthest(&stretched[0], n) > FARTHEST:
            return True
        n //= 2
    return False


cdef float farthest(const float* stretched, Py_ssize_t n) noexcept nogil:
    """The largest distance from the middle among n x n samples of a block, of which others are 0."""
    cdef float[64] across, samples
    cdef float most = 0
    cdef Py_ssize_t u, v, x
    memset(&across[0], 0, sizeof(across))
    memset(&samples[0], 0, sizeof(samples))
    for u in range(n):
        for v in range(n):
            for x in range(8):
                across[8 * u + x] += stretched[8 * u + v] * WAVES[n][v][x]
    for v in range(n):
        for u in range(n):
            for x in range(8):
                samples[8 * v + x] += across[8 * u + x] * WAVES[n][u][v]
    for x in range(64):
        samples[x] = -samples[x] if samples[x] < 0 else samples[x]
        most = samples[x] if samples[x] > most else most
    return most
