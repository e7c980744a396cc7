"""A certificate and its authority, as C2PA wants them (2.1, section 14.5); made anew for each run of the tests."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(words):
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, words), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cloak")]
    )


def _usage(**on):
    words = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{word: word in on for word in words.split()})


def certified(key=None):
    """(certificates, key) in PEM: a signer's and the authority that vouches for it."""
    now = datetime.datetime.now(datetime.UTC)
    authority, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP256R1())

    def start(words, number):
        made = x509.CertificateBuilder().subject_name(_name(words)).issuer_name(_name("authority"))
        times = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(30))
        return times.serial_number(number)

    identity = x509.SubjectKeyIdentifier.from_public_key
    root = (
        start("authority", 1)
        .public_key(authority.public_key())
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(_usage(key_cert_sign=1, crl_sign=1), True)
        .add_extension(identity(authority.public_key()), False)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        start("newsroom", 2)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_usage(digital_signature=1), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False)
        .add_extension(identity(key.public_key()), False)
        .sign(authority, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return b"".join(made.public_bytes(serialization.Encoding.PEM) for made in (leaf, root)), secret
