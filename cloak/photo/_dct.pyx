# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""The 8x8 discrete cosine transform of JPEG (T.81 A.3.3), the same on every machine.

Single precision, each sum in one fixed order, and compiled without contraction to fused operations: IEEE 754 then
leaves no choice to compilers and processors. The loops are laid out so that compilers use vector instructions.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

# COSn = cos(n pi / 16) / 2; COS4 = 1 / sqrt(8).
cdef float COS1 = 0.49039264
cdef float COS2 = 0.46193977
cdef float COS3 = 0.41573481
cdef float COS4 = 0.35355339
cdef float COS5 = 0.27778512
cdef float COS6 = 0.19134172
cdef float COS7 = 0.09754516


cdef inline void inverse(const float* a, float* out) noexcept nogil:
    """One-dimensional inverse transforms down the 8 columns of 8x8 values, split in even and odd frequencies."""
    cdef Py_ssize_t x
    cdef float e0, e1, e2, e3, o0, o1, o2, o3, f0, f1, f2, f3
    for x in range(8):
        e0 = COS4 * (a[x] + a[32 + x])
        e1 = COS4 * (a[x] - a[32 + x])
        e2 = COS2 * a[16 + x] + COS6 * a[48 + x]
        e3 = COS6 * a[16 + x] - COS2 * a[48 + x]
        f0, f1, f2, f3 = e0 + e2, e1 + e3, e1 - e3, e0 - e2
        o0 = COS1 * a[8 + x] + COS3 * a[24 + x] + COS5 * a[40 + x] + COS7 * a[56 + x]
        o1 = COS3 * a[8 + x] - COS7 * a[24 + x] - COS1 * a[40 + x] - COS5 * a[56 + x]
        o2 = COS5 * a[8 + x] - COS1 * a[24 + x] + COS7 * a[40 + x] + COS3 * a[56 + x]
        o3 = COS7 * a[8 + x] - COS5 * a[24 + x] + COS3 * a[40 + x] - COS1 * a[56 + x]
        out[x] = f0 + o0
        out[8 + x] = f1 + o1
        out[16 + x] = f2 + o2
        out[24 + x] = f3 + o3
        out[32 + x] = f3 - o3
        out[40 + x] = f2 - o2
        out[48 + x] = f1 - o1
        out[56 + x] = f0 - o0


cdef inline void forward(const float* a, float* out) noexcept nogil:
    """One-dimensional forward transforms down the 8 columns of 8x8 values."""
    cdef Py_ssize_t x
    cdef float s0, s1, s2, s3, d0, d1, d2, d3
    for x in range(8):
        s0, d0 = a[x] + a[56 + x], a[x] - a[56 + x]
        s1, d1 = a[8 + x] + a[48 + x], a[8 + x] - a[48 + x]
        s2, d2 = a[16 + x] + a[40 + x], a[16 + x] - a[40 + x]
        s3, d3 = a[24 + x] + a[32 + x], a[24 + x] - a[32 + x]
        out[x] = COS4 * ((s0 + s3) + (s1 + s2))
        out[32 + x] = COS4 * ((s0 + s3) - (s1 + s2))
        out[16 + x] = COS2 * (s0 - s3) + COS6 * (s1 - s2)
        out[48 + x] = COS6 * (s0 - s3) - COS2 * (s1 - s2)
        out[8 + x] = COS1 * d0 + COS3 * d1 + COS5 * d2 + COS7 * d3
        out[24 + x] = COS3 * d0 - COS7 * d1 - COS1 * d2 - COS5 * d3
        out[40 + x] = COS5 * d0 - COS1 * d1 + COS7 * d2 + COS3 * d3
        out[56 + x] = COS7 * d0 - COS5 * d1 + COS3 * d2 - COS1 * d3


cdef inline void transpose(const float* a, float* out) noexcept nogil:
    cdef Py_ssize_t x, y
    for y in range(8):
        for x in range(8):
            out[8 * x + y] = a[8 * y + x]


cdef inline Py_ssize_t turned(int32_t place) noexcept nogil:
    """Rows and columns swapped: coefficients lie so that the two passes need one transposition between them."""
    return (place & 7) << 3 | (place >> 3 & 7)


cdef inline bint spread(const int16_t* block, const float* steps, const Py_ssize_t* places, float* out) noexcept nogil:
    """Dequantised coefficients, each at its place; returns whether any but the first is not 0."""
    cdef Py_ssize_t k, i
    cdef uint64_t four
    cdef bint more = False
    memset(out, 0, 64 * sizeof(float))
    out[places[0]] = block[0] * steps[0]
    for k in range(0, 64, 4):
        memcpy(&four, &block[k], 8)
        if four:
            for i in range(k, k + 4):
                out[places[i]] = block[i] * steps[i]
                more |= i > 0 and block[i] != 0
    return more


def samples(
    const int16_t[:, :, ::1] coefficients,
    Py_ssize_t first,
    const int32_t[::1] quant,
    const int32_t[::1] natural,
    uint8_t[:, ::1] plane,
    Py_ssize_t h,
    Py_ssize_t v,
):
    """Inverse transform of one component's blocks.

    Args:
        coefficients: (MCUs, blocks, 64) in zigzag order; the component has `h` x `v` blocks an MCU, from `first` on.
        quant: (64,) their steps, in zigzag order. natural: (64,) for each zigzag position the index 8 * row + column.
        plane: receives the samples, clipped to 0-255: as many rows and columns of MCUs as there are.
    """
    cdef Py_ssize_t mcu, b, k, i, y, x, columns
    cdef float value
    cdef float[64] p, q
    cdef float[64] steps
    cdef Py_ssize_t[64] places
    cdef const int16_t* block
    cdef uint8_t* row
    columns = _fit(plane.shape[0], plane.shape[1], h, v, quant, natural)
    if (
        coefficients.shape[0] != columns * (plane.shape[0] // (8 * v)) or coefficients.shape[2] != 64
        or not 0 <= first <= coefficients.shape[1] - h * v
    ):
        raise ValueError("arrays do not fit each other")
    for k in range(64):
        steps[k] = <float> quant[k]
        places[k] = turned(natural[k])
    with nogil:
        for mcu in range(coefficients.shape[0]):
            for b in range(h * v):
                # One checked access each; 64 coefficients, and 8 samples of a row follow, as was made sure above.
                block = &coefficients[mcu, first + b, 0]
                y, x = 8 * (mcu // columns * v + b // h), 8 * (mcu % columns * h + b % h)
                if spread(block, &steps[0], &places[0], &p[0]):
                    inverse(&p[0], &q[0])
                    transpose(&q[0], &p[0])
                    inverse(&p[0], &q[0])
                    for k in range(64):
                        value = q[k] + <float> 128.5
                        value = 0 if value < 0 else value
                        q[k] = 255 if value > 255 else value
                    for k in range(8):
                        row = &plane[y + k, x]
                        for i in range(8):
                            row[i] = <uint8_t> <int32_t> q[8 * k + i]
                else:
                    # What the two transforms make of it, step by step.
                    value = COS4 * (COS4 * p[0]) + <float> 128.5
                    value = 0 if value < 0 else value
                    value = 255 if value > 255 else value
                    for k in range(8):
                        memset(&plane[y + k, x], <uint8_t> <int32_t> value, 8)


cdef inline bint flat(const uint8_t[:, ::1] plane, Py_ssize_t y, Py_ssize_t x) noexcept nogil:
    """Whether the 8x8 samples from there on are all the same: cells and fills are."""
    cdef Py_ssize_t k
    cdef uint64_t first, row
    memset(&first, plane[y, x], 8)
    for k in range(8):
        memcpy(&row, &plane[y + k, x], 8)
        if row != first:
            return False
    return True


cdef inline int32_t quantised(float value, float step) noexcept nogil:
    """Rounded to the nearest, and no larger than a baseline file can code (T.81 tables F.1 and F.2)."""
    value /= step
    value = -1023 if value < -1023 else value
    value = 1023 if value > 1023 else value
    return <int32_t> (value + <float> 2048.5) - 2048  # the offset makes rounding a truncation


def coefficients(
    const uint8_t[:, ::1] plane,
    const int64_t[::1] chosen,
    Py_ssize_t first,
    const int32_t[::1] quant,
    const int32_t[::1] natural,
    int16_t[:, :, ::1] out,
    Py_ssize_t h,
    Py_ssize_t v,
):
    """Forward transform and quantisation, rounded to the nearest, of the chosen MCUs; the inverse of `samples`.

    Args:
        chosen: MCUs by their place in the plane, row by row. out: (MCUs, blocks, 64).
    """
    cdef Py_ssize_t n, b, k, i, y, x, columns, mcus
    cdef float[64] p, q
    cdef float[64] steps
    cdef Py_ssize_t[64] places
    cdef int32_t[64] whole
    cdef int16_t* filled
    cdef const uint8_t* row
    columns = _fit(plane.shape[0], plane.shape[1], h, v, quant, natural)
    mcus = columns * (plane.shape[0] // (8 * v))
    if out.shape[0] != chosen.shape[0] or out.shape[2] != 64 or not 0 <= first <= out.shape[1] - h * v:
        raise ValueError("arrays do not fit each other")
    for n in range(chosen.shape[0]):
        if not 0 <= chosen[n] < mcus:
            raise ValueError("an MCU outside the plane")
    for k in range(64):
        places[k] = turned(natural[k])
        steps[places[k]] = <float> quant[k]
    with nogil:
        for n in range(chosen.shape[0]):
            for b in range(h * v):
                filled = &out[n, first + b, 0]
                y, x = 8 * (chosen[n] // columns * v + b // h), 8 * (chosen[n] % columns * h + b % h)
                if flat(plane, y, x):
                    # What the two transforms make of it, step by step: all other frequencies are 0 exactly.
                    memset(filled, 0, 128)
                    filled[0] = quantised(COS4 * (8 * (COS4 * (8 * (<float> plane[y, x] - 128)))), steps[0])
                    continue
                for k in range(8):
                    row = &plane[y + k, x]
                    for i in range(8):
                        p[8 * k + i] = <float> row[i] - 128
                forward(&p[0], &q[0])
                transpose(&q[0], &p[0])
                forward(&p[0], &q[0])
                for k in range(64):
                    whole[k] = quantised(q[k], steps[k])
                for k in range(64):
                    filled[k] = <int16_t> whole[places[k]]


cdef Py_ssize_t _fit(
    Py_ssize_t height, Py_ssize_t width, Py_ssize_t h, Py_ssize_t v, const int32_t[::1] quant,
    const int32_t[::1] natural
) except -1:
    """MCUs in a row of the plane."""
    if not (1 <= h <= 4 and 1 <= v <= 4) or height % (8 * v) or width % (8 * h):
        raise ValueError("arrays do not fit each other")
    if quant.shape[0] != 64 or natural.shape[0] != 64:
        raise ValueError("arrays do not fit each other")
    for k in range(64):
        if not 1 <= quant[k] <= 65535:
            raise ValueError("a quantisation step out of range")
    return width // (8 * h)
