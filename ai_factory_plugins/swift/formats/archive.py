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

"""TAR archives in POSIX pax form, with a member for each entry."""

import json
import tarfile
import time

from ai_factory_plugins.dataset import ranges
from ai_factory_plugins.swift import formats

#: Members of ours. Readers of data sets skip names of this form.
REFUSAL = '__batch_read_error_{}__'
END = '__batch_read_end__'

_BLOCK = 512
_MTIME = 8 ** 11 - 1
_DOTS = {'.': '_', '..': '__'}


class Tar:
    """Writes an answer as a TAR archive.

    The pax record ``comment`` of a member is a JSON object: the number of the
    entry, its status, and what a frame would have told.

    :param container: name of the one container that the request is sent to,
        or None
    """

    content_type = 'application/x-tar'
    with_headers = True

    def __init__(self, container=None):
        self._names = Names(container is None)
        self._left = 0     # bytes of the member that are still to come
        self._padding = b''
        self._refused = 0

    def refused(self, entry, status, meta):
        self._refused += 1
        text = _json(entry, status, meta)
        return _member(REFUSAL.format(entry.index), text, time.time())

    def begun(self, entry, status, meta, data=b'', text=None):
        headers = meta.pop('headers', {})
        size = self._left = ranges.total(meta['parts'])
        self._padding = bytes(-size % _BLOCK)
        return [
            *_head(self._names.of(entry, meta['parts']), size,
                   modified(headers), _json(entry, status, meta)),
            *self.more(entry, status, data)]

    def more(self, entry, status, data):
        self._left -= len(data)
        return [data] if self._left else [data, self._padding]

    def aborted(self, entry, status, reason):
        raise formats.Cut(f'entry {entry.index}: {status} {reason}')

    def ended(self, entries, size):
        text = _dump({'entries': entries, 'bytes': size,
                      'failed': self._refused})
        return [*_member(END, text, time.time()), bytes(2 * _BLOCK)]


class Names:
    """Names of members, each of them once.

    :param with_container: whether they begin with the container's
    """

    def __init__(self, with_container):
        self._with_container = with_container
        self._given = set()

    def of(self, entry, parts):
        """The name of an entry's member.

        It is the ``id``, or made of the object's name and the ranges. If
        another member has it, the number of the entry comes after it.

        :param entry: an :class:`~ai_factory_plugins.dataset.entries.Entry`
        :param parts: its parts
        """
        name = entry.id
        if name is None:
            name = entry.object
            if self._with_container:
                name = f'{entry.container}/{name}'
            if entry.ranges:
                name += _suffix(parts)
        name = harmless(name) or f'entry-{entry.index}'
        while name in self._given:
            name += f'~{entry.index}'
        self._given.add(name)
        return name


def _suffix(parts):
    """What tells ranges of an object from others."""
    start, length = parts[0]
    last = start + length - 1 if length else ''
    more = f'+{len(parts) - 1}' if len(parts) > 1 else ''
    return f'@{start}-{last}{more}'


def harmless(name):
    """A name that stays within the directory in which it is unpacked.

    :param name: any text
    :returns: a relative path without ``.`` and ``..``; maybe an empty one
    """
    name = name.encode('utf-8', 'replace').decode().replace('\0', '_')
    name = '/'.join(_DOTS.get(part, part)
                    for part in name.split('/') if part)
    if name.startswith('__batch_read_'):
        name = f'_{name}'
    return name


def modified(headers):
    """When an object was last changed.

    :param headers: dict of its headers
    :returns: seconds since 1970; now, if they do not tell
    """
    try:
        return float(headers['X-Timestamp'])
    except (KeyError, TypeError, ValueError):
        return time.time()


def _dump(value):
    return json.dumps(value, separators=(',', ':')).encode('ascii')


def _json(entry, status, meta):
    return _dump({'entry': entry.index, 'status': status, **meta})


def _member(name, data, mtime):
    """A member that is all there."""
    return [*_head(name, len(data), mtime, None), data,
            bytes(-len(data) % _BLOCK)]


def _head(name, size, mtime, comment):
    """What comes before the data of a member.

    :param name: text
    :param size: bytes of data
    :param mtime: seconds since 1970
    :param comment: bytes of ASCII, or None
    """
    member = tarfile.TarInfo(name)
    member.size = size
    member.mtime = min(max(int(mtime), 0), _MTIME)
    if comment is not None:
        member.pax_headers = {'comment': comment.decode('ascii')}
    return [member.tobuf(tarfile.PAX_FORMAT)]
