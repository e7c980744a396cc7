# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False, show_performance_hints=False
"""The 8x8 discrete cosine transform of JPEG (T.81 A.3.3), the same on every machine.

Single precision, each sum in one fixed order, and compiled without contraction to fused operations: IEEE 754 then
leaves no choice to compilers and processors. The loops are laid out so that compilers use vector instructions.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t

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


def samples(
    const int16_t[:, ::1] coefficients, const int32_t[::1] quant, const int32_t[::1] natural, uint8_t[:, ::1] out
):
    """Inverse transform.

    Args:
        coefficients: (n, 64) in zigzag order. quant: (64,) their steps, in zigzag order.
        natural: (64,) for each zigzag position the index 8 * row + column.
        out: (n, 64) receives samples row by row, clipped to 0-255.
    """
    cdef Py_ssize_t i, k
    cdef float value
    cdef float[64] a, b
    cdef float[64] steps
    cdef Py_ssize_t[64] places
    cdef const int16_t* block
    cdef uint8_t* filled
    _fit(coefficients.shape[0], coefficients.shape[1], quant, natural, out.shape[0], out.shape[1])
    for k in range(64):
        steps[k] = <float> quant[k]
        places[k] = natural[k] & 63
    with nogil:
        for i in range(coefficients.shape[0]):
            # One checked access each; 64 values follow, as `_fit` has made sure.
            block, filled = &coefficients[i, 0], &out[i, 0]
            for k in range(64):
                a[places[k]] = block[k] * steps[k]
            inverse(&a[0], &b[0])
            transpose(&b[0], &a[0])
            inverse(&a[0], &b[0])
            for k in range(64):
                value = b[k] + <float> 128.5
                value = 0 if value < 0 else value
                b[k] = 255 if value > 255 else value
            transpose(&b[0], &a[0])
            for k in range(64):
                filled[k] = <uint8_t> <int32_t> a[k]


def coefficients(
    const uint8_t[:, ::1] samples, const int32_t[::1] quant, const int32_t[::1] natural, int16_t[:, ::1] out
):
    """Forward transform and quantisation, rounded to the nearest; the inverse of `samples`."""
    cdef Py_ssize_t i, k
    cdef float value
    cdef float[64] a, b
    cdef float[64] steps
    cdef Py_ssize_t[64] places
    cdef const uint8_t* block
    cdef int16_t* filled
    _fit(samples.shape[0], samples.shape[1], quant, natural, out.shape[0], out.shape[1])
    for k in range(64):
        places[k] = natural[k] & 63
        steps[places[k]] = <float> quant[k]
    with nogil:
        for i in range(samples.shape[0]):
            block, filled = &samples[i, 0], &out[i, 0]
            for k in range(64):
                a[k] = <float> block[k] - 128
            forward(&a[0], &b[0])
            transpose(&b[0], &a[0])
            forward(&a[0], &b[0])
            transpose(&b[0], &a[0])
            for k in range(64):
                value = a[k] / steps[k]
                # T.81 tables F.1 and F.2: what a baseline file can code. The offset makes rounding a truncation.
                value = -1023 if value < -1023 else value
                value = 1023 if value > 1023 else value
                a[k] = value + <float> 2048.5
            for k in range(64):
                filled[k] = <int16_t> (<int32_t> a[places[k]] - 2048)


cdef _fit(
    Py_ssize_t n, Py_ssize_t width, const int32_t[::1] quant, const int32_t[::1] natural, Py_ssize_t m, Py_ssize_t w
):
    if n != m or width != 64 or w != 64 or quant.shape[0] != 64 or natural.shape[0] != 64:
        raise ValueError("arrays do not fit each other")
    for k in range(64):
        if not 1 <= quant[k] <= 65535:
            raise ValueError("a quantisation step out of range")
