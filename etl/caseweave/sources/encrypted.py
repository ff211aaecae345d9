"""Encrypted workbooks: decrypted in memory, never on disk.

Standard: MS-OFFCRYPTO 2.3 (ECMA-376 encryption), MS-XLS 2.2.10 (xls).
"""

from __future__ import annotations

import io
from pathlib import Path

from caseweave.errors import CaseweaveError, SourceDamaged
from caseweave.sources.calamine import needs_password

# Excel encrypts with this word when only the structure is protected, and never asks for it (MS-OFFCRYPTO 2.4.2.3)
_EXCELS_OWN = "VelvetSweatshop"


def decrypt(path: Path, password: str | None) -> io.BytesIO:
    """Decrypt a workbook.

    Arguments: the file, the password or None (then only Excel's own default is tried).
    Raises SourceProtected when the password is missing or wrong, SourceDamaged when the encryption is broken.
    """
    import msoffcrypto
    from msoffcrypto.exceptions import DecryptionError, InvalidKeyError

    candidates = [password, _EXCELS_OWN] if password else [_EXCELS_OWN]
    for candidate in candidates:
        plain = io.BytesIO()
        try:
            with path.open("rb") as stream:
                office = msoffcrypto.OfficeFile(stream)
                # not every kind of encryption can check the password before decrypting
                office.load_key(password=candidate)
                office.decrypt(plain)
        except InvalidKeyError:
            continue
        except DecryptionError as error:
            if "password" in str(error).lower() or "key" in str(error).lower():
                continue
            raise _broken(path) from error
        except CaseweaveError:
            raise
        except Exception as error:  # the library raises whatever its parsing runs into
            raise _broken(path) from error
        plain.seek(0)
        return plain
    raise needs_password(path.name, wrong=password is not None)


def _broken(path: Path) -> SourceDamaged:
    return SourceDamaged(
        path.name,
        "it is encrypted in a way that can't be undone here",
        way_out="Open it in Excel and save it without a password.",
    )
