# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Multipart messages, RFC 2046, section 5.1, with a part for each range."""

import json
import re
import secrets
import urllib.parse

from swift.common.swob import content_range_header_value
from swift.common.utils import clean_content_type

from ai_factory_plugins.swift import formats

_DEFAULT_TYPE = 'application/octet-stream'
_VALUE = re.compile(r'[\x21-\x7e][\x20-\x7e]{0,1023}\Z')


class Parts:
    """Puts what delimits parts into the data of an entry.

    :param parts: list of parts
    :param opening: called with the number of a part, returns what is sent
        before its data
    """

    def __init__(self, parts, opening):
        self._parts = parts
        self._opening = opening
        self._number = 0
        self._left = None  # bytes of the part, once it is opened

    def take(self, data):
        """Data, with what comes before, between and after.

        :param data: bytes or a memoryview, the next of all parts
        :returns: list of what is to be sent
        """
        found, view = [], memoryview(data)
        while self._number < len(self._parts):
            if self._left is None:
                self._left = self._parts[self._number][1]
                found.append(self._opening(self._number))
            piece, view = view[:self._left], view[self._left:]
            self._left -= len(piece)
            if len(piece):
                found.append(piece)
            if self._left:
                break
            found.append(b'\r\n')
            self._number += 1
            self._left = None
        return found


class Multipart:
    """Writes an answer as a multipart message.

    :param container: name of the one container that the request is sent to,
        or None
    """

    subtype = 'mixed'
    with_headers = True

    def __init__(self, container=None):
        # Nobody who writes an object can foresee it.
        self._boundary = secrets.token_hex(16)
        self.content_type = (
            f'multipart/{self.subtype}; boundary={self._boundary}')
        self._parts = None

    def refused(self, entry, status, meta):
        text = json.dumps({'entry': entry.index, 'status': status, **meta})
        return [self._opening(
            entry, status, ('Content-Type', 'application/json'),
            ('Content-Length', len(text))), text.encode(), b'\r\n']

    def begun(self, entry, status, meta, data=b'', text=None):
        headers, size = meta.get('headers', {}), meta['size']
        common = [('Content-Type', content_type(headers))]
        if meta['etag']:
            common.append(('ETag', f'"{meta["etag"]}"'))
        changed = headers.get('Last-Modified')
        if changed and is_value(changed):
            common.append(('Last-Modified', changed))
        parts = meta['parts']

        def opening(number):
            start, length = parts[number]
            fields = [*common, ('Content-Length', length)]
            if length:
                fields.append(('Content-Range', content_range_header_value(
                    start, start + length, size)))
            fields.append(('X-Batch-Part', f'{number + 1}/{len(parts)}'))
            return self._opening(entry, status, *fields)
        self._parts = Parts(parts, opening)
        return self._parts.take(data)

    def more(self, entry, status, data):
        return self._parts.take(data)

    def aborted(self, entry, status, reason):
        raise formats.Cut(f'entry {entry.index}: {status} {reason}')

    def ended(self, entries, size):
        return [f'--{self._boundary}--\r\n'.encode()]

    def _opening(self, entry, status, *fields):
        """What comes before the body of a part."""
        fields = [*fields, ('X-Batch-Entry', entry.index),
                  ('X-Batch-Status', status)]
        if None not in (entry.container, entry.object):
            fields.append(('X-Batch-Object', _quote(
                f'{entry.container}/{entry.object}')))
        if entry.id is not None:
            fields.append(('X-Batch-Id', _quote(entry.id)))
        lines = ''.join(f'{name}: {value}\r\n' for name, value in fields)
        return f'--{self._boundary}\r\n{lines}\r\n'.encode('ascii')


class ByteRanges(Multipart):
    """The same, under the name that readers of HTTP's ranges look for."""

    subtype = 'byteranges'


def content_type(headers):
    """The type of an object, as a client is to see it.

    :param headers: dict of its headers
    """
    found = clean_content_type(headers.get('Content-Type') or '')
    return found if is_value(found) else _DEFAULT_TYPE


def is_value(text):
    """Whether a text can be a header's value, as all readers take it."""
    return _VALUE.match(text) is not None


def _quote(text):
    return urllib.parse.quote(text.encode('utf-8', 'replace'))
