"""Private keys and what they sign: JSON Web Tokens as SMART Backend Services wants them, RS384 or ES384."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from caseweave.errors import UsageError
from caseweave.targets.fhir.server.secretfiles import read_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


def load_key(path: Path) -> tuple[RSAPrivateKey | EllipticCurvePrivateKey, str]:
    """A private key out of a PEM or JWK file of its owner alone, and its name: the JWK's kid, else its thumbprint.

    Raises UsageError for a file that others may read, or a key that is neither RSA nor on the curve P-384.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = read_secret(path)
    way_out = (
        "Give a PEM or JWK file with an RSA key of 2048 bits or more, or one on the curve P-384, without password."
    )
    try:
        name = ""
        if text.startswith("{"):
            jwk = json.loads(text)
            key: object = _from_jwk(jwk)
            name = str(jwk.get("kid", ""))
        else:
            key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{path} holds no private key that can be read.", way_out=way_out) from None
    if isinstance(key, RSAPrivateKey) and key.key_size >= 2048:
        return key, name or thumbprint(key)
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
        return key, name or thumbprint(key)
    raise UsageError(f"{path} holds a key that SMART doesn't know.", way_out=way_out)


def _from_jwk(jwk: Mapping[str, str]) -> object:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    def number(name: str) -> int:
        return int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "=="), "big")

    if jwk["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(number("e"), number("n"))
        p, q, d, dp, dq, qi = (number(name) for name in ("p", "q", "d", "dp", "dq", "qi"))
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()
    if jwk["kty"] == "EC" and jwk["crv"] == "P-384":
        point = ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP384R1())
        return ec.EllipticCurvePrivateNumbers(number("d"), point).private_key()
    raise ValueError("unknown kind of key")


def thumbprint(key: RSAPrivateKey | EllipticCurvePrivateKey) -> str:
    """The name of a key that has none: the thumbprint of its public part (RFC 7638)."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, RSAPrivateKey):
        rsa = key.public_key().public_numbers()
        parts = {"e": _number(rsa.e), "kty": "RSA", "n": _number(rsa.n)}
    else:
        point = key.public_key().public_numbers()
        parts = {"crv": "P-384", "kty": "EC", "x": _number(point.x, 48), "y": _number(point.y, 48)}
    return _base64(hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest())


def sign(claims: Mapping[str, object], key: RSAPrivateKey | EllipticCurvePrivateKey, name: str) -> str:
    """A JWT, signed RS384 or ES384 by the kind of key."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    head = {"alg": "RS384" if is_rsa else "ES384", "kid": name, "typ": "JWT"}
    body = ".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA384())
    else:
        r, s = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA384())))
        signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    return f"{body}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    return _base64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
