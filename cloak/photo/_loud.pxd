# Whether decoders agree on a block, for the native modules that read coefficients.
from libc.stdint cimport int16_t, int32_t

cdef enum:
    # Samples of 8 bits make blocks of an energy (the root of the sum of all squared coefficients) of at most 1024, by
    # Parseval's theorem, and rounding to the nearest step doubles a coefficient at most. Up to here 16-bit arithmetic
    # does not overflow; beyond, libjpeg-turbo wraps around what others clip, and they show different pictures.
    LOUDEST = 2048
    # Levels from the middle that samples may have: from 512 on libjpeg's C code wraps around, white to black, where its
    # vector code clips. Rounding takes a few levels. Photos reach 300 at a quality of 5.
    FARTHEST = 500
    # With two samples of a block beyond that, no face of a group was found in a picture made of them; with three, most.
    SEVERAL = 3


cdef bint loud(const int16_t* block, const int32_t* steps) noexcept nogil
