"""Columns of whole numbers as text that a page can hold: small, and unpacked by what every browser has."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_LEVEL = 9


def pack_column(values: npt.NDArray[Any]) -> str:
    """Pack whole numbers (from 0) into base64: deflated, byte plane by byte plane.

    All lowest bytes come first, then all second ones, as many planes as the largest number needs: the upper planes
    are nearly constant, which deflate makes nothing of. Beyond 2^53 (104 days, of times) a browser rounds.
    """
    whole = np.ascontiguousarray(values, dtype="<u8")
    planes = max((int(whole.max(initial=0)).bit_length() + 7) // 8, 1)
    raw = whole.view(np.uint8).reshape(-1, 8)[:, :planes].T.tobytes()
    return pack_bytes(raw)


def pack_texts(texts: Sequence[Any], block: int) -> list[str]:
    """Pack anything JSON can hold, `block` items at a time, so that a reader unpacks only what is looked at."""
    return [
        pack_bytes(json.dumps(list(texts[first : first + block]), separators=(",", ":")).encode("ascii"))
        for first in range(0, len(texts), block)
    ]


def pack_bytes(raw: bytes) -> str:
    """Deflate bytes (zlib's format, `deflate` to a browser) and write them in base64."""
    return base64.b64encode(zlib.compress(raw, _LEVEL)).decode("ascii")


def script_json(content: Mapping[str, Any]) -> str:
    """Write JSON that can stand in a script element: nothing in it ends the element, or begins another."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
