"""Content credentials: a fresh C2PA manifest on bytes that are already verified, signed on this machine.

The library that signs sees the published bytes only, never the original. Its thumbnails are off (by default it embeds a
sharp picture of what it is given), it fetches nothing and asks no time-stamp authority. What it returns is taken apart
again by our own code: without the manifest it must be, byte for byte, what was verified, and the manifest may hold
nothing but our statements.
"""

import hashlib
import io
import json
import re
import ssl
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cloak.errors import ConcealmentFailed, MissingExtra, Unsupported, UsageError, VerificationFailed
from cloak.metadata import manifest
from cloak.result import Report, Result, Status

_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
"""What can be taken apart again. The library writes a TIFF's directory anew, and hashes HEIC and AVIF box by box."""

_SETTINGS = {
    "builder": {
        "thumbnail": {"enabled": False},
        "actions": {f"auto_{kind}_action": {"enabled": False} for kind in ("opened", "created", "placed")},
    },
    "verify": {"verify_after_sign": True, "verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs.

    Attributes:
        certificates: PEM, the signer's first, then those that vouch for it.
        key: the private key, PEM (PKCS #8), without a password.
        algorithm: its name in C2PA, e.g. "ES256".
    """

    certificates: bytes = field(repr=False)
    key: bytes = field(repr=False)
    algorithm: str

    @property
    def chain(self) -> list[bytes]:
        """The certificates, DER."""
        found = re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", self.certificates, re.DOTALL)
        return [ssl.PEM_cert_to_DER_cert(text.decode("ascii")) for text in found]

    @property
    def digest(self) -> str:
        """Tells photos signed by one signer from others."""
        return hashlib.sha256(b"".join(self.chain)).hexdigest()


def load_signer(certificates: Path, key: Path) -> Signer:
    """Read and check both files. Raises `UsageError` or `MissingExtra`."""
    try:
        import c2pa  # noqa: F401 - here rather than in the first worker
        import cbor2  # noqa: F401
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization as form
    except ImportError:
        raise MissingExtra("signing", "c2pa") from None
    try:
        texts = certificates.read_bytes(), key.read_bytes()
    except OSError as error:
        raise UsageError(f"the certificate or its key cannot be read: {error.strerror}") from None
    try:
        chain = x509.load_pem_x509_certificates(texts[0])
        secret = form.load_pem_private_key(texts[1], password=None)
        fits = chain[0].public_key() == secret.public_key()
    except (ValueError, TypeError, IndexError):
        raise UsageError(
            "the certificate or its key is no PEM file that can be used",
            next_step="Give certificates in PEM, the signer's first, and a PKCS #8 key in PEM without a password.",
        ) from None
    if not fits:
        raise UsageError("the key is not that of the first certificate")
    algorithm = _algorithm(secret)
    # Written anew, each for itself: one file may hold both, and the library embeds whatever is beside the certificates.
    public = b"".join(one.public_bytes(form.Encoding.PEM) for one in chain)
    private = secret.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return Signer(public, private, algorithm)


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "PS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    raise UsageError("C2PA signs with ECDSA (P-256, P-384, P-521), Ed25519, or RSA from 2048 bits on")


def signed(result: Result, signer: Signer | None) -> Result:
    """A result whose bytes are signed; as it is if there is no signer, or nothing is published. Raises as `sign`."""
    if signer is None or result.data is None:
        return result
    report = result.report
    data = sign(result.data, report.format, signer, statement(report))
    return replace(result, data=data, report=replace(report, verified=(*report.verified, "manifest")))


def statement(report: Report) -> str:
    """The sentence of `manifest.STATEMENTS` that is true of a published photo."""
    if report.status is Status.CONCEALED:
        # Without a face there are only areas of a person's, who alone knows what they hide.
        return manifest.CONCEALED if report.faces or any(report.replaced) else manifest.COVERED
    words = {
        Status.PERTURBED: manifest.PERTURBED, Status.REVEALED: manifest.REVEALED, Status.NO_FACE: manifest.STRIPPED,
    }  # fmt: skip
    return words[report.status]


def sign(data: bytes, format: str, signer: Signer, words: str) -> bytes:
    """Published bytes with a manifest that says what was done to them.

    Args:
        data: verified bytes; nothing but the manifest is added.
        format: theirs, as in `Photo.format`.
        words: what was done, one of `manifest.STATEMENTS`.

    Raises `Unsupported` for other formats than JPEG, PNG and WebP, `ConcealmentFailed` if the library does not sign,
    and `VerificationFailed` if it wrote anything but our manifest.
    """
    kind = _TYPES.get(format)
    if kind is None:
        raise Unsupported(
            f"cloak signs JPEG, PNG and WebP only, not {format}",
            next_step="Convert the photo first, or run it without --c2pa-sign.",
        )
    signed = _signed(data, kind, signer, words)
    rest, store = manifest.carve(signed)
    if rest != data:
        raise VerificationFailed("signing changed more than the manifest")
    fault = manifest.fault(store, signed, signer.chain)
    if fault:
        raise VerificationFailed(f"the signed file states more than it should: {fault}")
    return signed


def _signed(data: bytes, kind: str, signer: Signer, words: str) -> bytes:
    import c2pa

    definition = {
        "claim_generator_info": [{"name": manifest.GENERATOR, "version": version("cloak-images")}],
        "format": kind,
    }
    out = io.BytesIO()
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
        info = c2pa.C2paSignerInfo(
            getattr(c2pa.C2paSigningAlg, signer.algorithm), signer.certificates, signer.key, None
        )
        with c2pa.Signer.from_info(info) as key, c2pa.Builder.from_json(json.dumps(definition), context) as builder:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)  # c2pa.opened, with the published bytes as its ingredient
            builder.add_action(json.dumps({"action": "c2pa.edited", "description": words}))
            builder.sign(key, kind, io.BytesIO(data), out)
    except c2pa.C2paError as error:
        # Its words may name the certificate, which is public, and nothing of the photo.
        raise ConcealmentFailed(
            f"the photo could not be signed ({str(error)[:200]})",
            next_step="Check the certificate: its purpose must be signing, its chain complete, its time not over.",
        ) from None
    return out.getvalue()
