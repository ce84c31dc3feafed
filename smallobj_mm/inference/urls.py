# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Images and videos from the web, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from smallobj_mm.utils.errors import UserError
from smallobj_mm.utils.io import atomic_file

#: Bytes of the largest file that is fetched, and of a part of it.
MOST_BYTES, _PART = 1 << 30, 1 << 20
#: Seconds without an answer after which it is given up.
_PATIENCE = 30
#: What an address may have in its path and query as it is; % is of what is encoded already.
_SAFE = "%/:?#[]@!$&'()*+,;=~"


def is_url(text: object) -> bool:
    """Whether an input is an address of the web."""
    return isinstance(text, str) and text.lower().startswith(('http://', 'https://'))


def fetch(url: str, folder: Path, most_bytes: int = MOST_BYTES) -> Path:
    """Fetch a file, unless it is there already.

    Args:
        url: Its address, http or https.
        folder: Where it is put, under a name of its own.
        most_bytes: Size of the largest file that is taken.

    Returns:
        The file.

    Raises:
        UserError: It cannot be fetched, is cut short, or larger.
    """
    try:
        path = folder / file_name(url)
        if path.is_file():
            return path
        request = urllib.request.Request(_ascii(url), headers={'User-Agent': 'smallobj_mm'})
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            length = answer.headers.get('Content-Length')
            declared = int(length) if length and length.isdigit() else None
            if declared is not None and declared > most_bytes:
                raise UserError(_too_large(url, declared, most_bytes))
            with atomic_file(path) as file:
                size = 0
                while part := answer.read(_PART):
                    size += len(part)
                    if size > most_bytes:
                        raise UserError(_too_large(url, size, most_bytes))
                    file.write(part)
                if declared is not None and size != declared:
                    raise UserError(
                        f'{url}: {size} of {declared} bytes came; the same command fetches it anew'
                    )
    except (http.client.HTTPException, OSError, ValueError) as error:  # URLError is an OSError
        if isinstance(error, UserError):
            raise
        reason = ' '.join(str(getattr(error, 'reason', error)).split()) or type(error).__name__
        code = f'{error.code} ' if isinstance(error, urllib.error.HTTPError) else ''
        raise UserError(f'{url}: cannot be fetched ({code}{reason}); check the address') from None
    return path


def _ascii(url: str) -> str:
    """An address as it is sent: what is no ASCII in its path and query in percent-encoding."""
    parts = urlsplit(url)
    path, query = (quote(part, safe=_SAFE) for part in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query))


def file_name(url: str) -> str:
    """A name for what lies at an address: of its own, with the ending that the address has."""
    name = unquote(urlsplit(url).path).rpartition('/')[2]
    name = re.sub(r'[^\w.-]+', '_', name, flags=re.ASCII).strip('._')[-80:]
    digest = hashlib.sha256(url.encode('utf-8', 'surrogatepass')).hexdigest()[:8]
    return f'{digest}_{name or "file"}'


def _too_large(url: str, size: int, most: int) -> str:
    return f'{url}: {size} bytes or more, expected at most {most}; fetch it yourself'
