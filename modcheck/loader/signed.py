"""Whether a signature fits: the arithmetic, by the library `cryptography` (the extra `verify`)."""

from __future__ import annotations

from ..module.signature import Signer


def fits(signer: Signer, key: bytes) -> bool | None:
    """Whether `signer`'s signature of its digest was made with the public key `key` (DER, SubjectPublicKeyInfo).

    None: not decided, because `cryptography` is not installed or does not know the algorithm.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
        from cryptography.hazmat.primitives.serialization import load_der_public_key
    except ImportError:
        return None
    hash_class = getattr(hashes, signer.hash.upper().replace("-", "_"), None)
    if hash_class is None or not signer.digest:
        return None
    digest = utils.Prehashed(hash_class())
    try:
        public = load_der_public_key(key)
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signer.value, signer.digest, padding.PKCS1v15(), digest)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signer.value, signer.digest, ec.ECDSA(digest))
        else:
            return None
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return None
    return True
