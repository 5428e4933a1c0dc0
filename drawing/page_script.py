"""Data and scripts inside a page, as its content security policy allows them."""

from __future__ import annotations

import base64
import hashlib
import json


def script_data(values: object) -> str:
    """JSON that may stand inside a script element: no `<`, so nothing in it ends the element."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def script_hash(script: str) -> str:
    """What a content security policy calls a script that it lets run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
