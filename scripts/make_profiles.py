"""Write the colour profiles that cloak ships: `python scripts/make_profiles.py`, from the repository's root.

Each is made of published numbers alone and dedicated to the public domain (CC0). `tests/metadata/test_icc.py` holds
their hashes: a change here changes what cloak publishes.
"""

from pathlib import Path

import numpy as np

from cloak.metadata.shaper import (
    D65,
    REC2020_CURVE,
    SRGB_CURVE,
    Power,
    grey_profile,
    primaries,
    rgb_profile,
)

FOLDER = Path(__file__).parents[1] / "cloak" / "metadata" / "profiles"

# IEC 61966-2-1; SMPTE EG 432-1 with D65; ITU-R BT.2020; ISO 22028-2 (white D50).
SRGB = primaries((D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)))
DISPLAY_P3 = primaries((D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)))
REC2020 = primaries((D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)))
PROPHOTO = primaries(((0.3457, 0.3585), (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)))
# The colorants in the Adobe RGB (1998) profile itself, which all compatible ones repeat.
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])


def profiles() -> dict[str, bytes]:
    """Each profile by its name."""
    # 2.19921875 and 1.80078125 are 2.2 and 1.8 in the u8Fixed8 of version 2 profiles, as Adobe's own hold them.
    return {
        "srgb": rgb_profile("sRGB", SRGB, [SRGB_CURVE] * 3, D65),
        "display-p3": rgb_profile("Display P3", DISPLAY_P3, [SRGB_CURVE] * 3, D65),
        "adobe-rgb": rgb_profile("Adobe RGB compatible", ADOBE, [Power(2.19921875)] * 3, D65),
        "rec2020": rgb_profile("Rec. 2020", REC2020, [REC2020_CURVE] * 3, D65),
        "prophoto": rgb_profile("ProPhoto RGB compatible", PROPHOTO, [Power(1.80078125)] * 3),
        "grey-srgb": grey_profile("Grey sRGB", SRGB_CURVE),
        "grey-gamma-2.2": grey_profile("Grey gamma 2.2", Power(2.19921875)),
        "grey-gamma-1.8": grey_profile("Grey gamma 1.8", Power(1.80078125)),
        "grey-linear": grey_profile("Grey linear", Power(1.0)),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in profiles().items():
        (FOLDER / f"{name}.icc").write_bytes(data)
        print(f"{name}.icc: {len(data)} bytes")
