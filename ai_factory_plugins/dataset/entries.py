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

"""What a client asks for: lines of JSON, an entry each."""

import dataclasses
import json
import re
import typing

VERSION = 1
PARAMETER = 'batch-read'   #: of the query; its value is the version
CONTENT_TYPE = 'application/x-ndjson'

MAX_LINE = 64 * 1024       #: bytes
MAX_RANGES = 1000          #: of one entry
MAX_POSITION = 2 ** 63 - 1
MAX_ID = 256               #: characters

_PAUSE = 128  # lines
_KEYS = frozenset(('object', 'container', 'ranges', 'etag', 'id'))
_ETAG = re.compile(r'[\x21\x23-\x7e]{1,128}\Z')


def _refuse(name):
    raise ValueError(name)


_load = json.JSONDecoder(parse_constant=_refuse).decode
_dump = json.JSONEncoder(separators=(',', ':')).encode


class RequestError(Exception):
    """The request as a whole cannot be understood, or asks for too much.

    :param status: HTTP status
    """

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class EntryError(Exception):
    """One entry cannot be understood.

    :param status: HTTP status
    """

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Limits(typing.NamedTuple):
    """What a request may have.

    :param max_entries: lines
    :param max_ranges: ranges of all entries
    """

    max_entries: int
    max_ranges: int


@dataclasses.dataclass(slots=True)
class Entry:
    """Ranges of one object.

    :param index: number in the request, from 0
    :param container: name, or None if the request is to one container
    :param object: name
    :param ranges: tuple of ranges, see
        :mod:`ai_factory_plugins.dataset.ranges`; empty for the whole object
    :param etag: what the object has to have, without quotes, or None
    :param id: returned with the answer
    :param error: an :class:`EntryError`, if the line is wrong
    """

    index: int
    container: str | None = None
    object: str | None = None
    ranges: tuple = ()
    etag: str | None = None
    id: str | None = None
    error: EntryError | None = None

    def line(self):
        """The entry as a client sends it, as bytes."""
        fields = {'object': self.object}
        for name in ('container', 'etag', 'id'):
            if getattr(self, name) is not None:
                fields[name] = getattr(self, name)
        if self.ranges:
            fields['ranges'] = self.ranges
        return _dump(fields).encode() + b'\n'


def parse(body, limits, container=None, pause=lambda: None):
    """The entries of a request.

    :param body: bytes
    :param limits: :class:`Limits`
    :param container: name of the one container that the request is sent to;
        None if it is sent to an account, and each entry names its own
    :param pause: called now and then, so that others are not kept waiting
    :returns: list of :class:`Entry`; those that are wrong have an ``error``
    :raises RequestError: a line is no JSON object, or there are too many
    """
    lines = body.split(b'\n', limits.max_entries + 1)
    if not lines[-1]:
        del lines[-1]
    if not lines:
        raise RequestError(400, 'there are no entries')
    if len(lines) > limits.max_entries:
        raise RequestError(413, f'more than {limits.max_entries} entries')
    found, count = [], 0
    for index, line in enumerate(lines):
        if not index % _PAUSE:
            pause()
        entry = Entry(index)
        fields = _fields(line, index)
        try:
            _fill(entry, fields, container)
        except EntryError as exc:
            entry.error = exc
        count += len(entry.ranges)
        if count > limits.max_ranges:
            raise RequestError(413, f'more than {limits.max_ranges} ranges')
        found.append(entry)
    return found


def _fields(line, index):
    """The JSON object of a line."""
    if len(line) > MAX_LINE:
        raise RequestError(
            413, f'line {index + 1} has more than {MAX_LINE} bytes')
    try:
        fields = _load(line.decode('utf-8'))
    except (ValueError, RecursionError):
        raise RequestError(400, f'line {index + 1} is not JSON')
    if not isinstance(fields, dict):
        raise RequestError(400, f'line {index + 1} is not a JSON object')
    return fields


def _fill(entry, fields, container):
    """Take what a line says into an entry."""
    ident = fields.get('id')
    if ident is not None:
        if not isinstance(ident, str) or len(ident) > MAX_ID:
            raise EntryError(
                400, f'id is not a string of at most {MAX_ID} characters')
        entry.id = ident
    unknown = sorted(fields.keys() - _KEYS)
    if unknown:
        raise EntryError(400, f'unknown key: {unknown[0][:64]!a}')
    entry.object = check_name(fields.get('object'), 'object')
    named = fields.get('container')
    if container is not None and named is not None:
        raise EntryError(400, 'the request is to one container')
    entry.container = container
    if container is None:
        entry.container = check_name(named, 'container')
        if '/' in named:
            raise EntryError(400, 'container has a slash')
    entry.etag = _etag(fields.get('etag'))
    entry.ranges = _ranges(fields.get('ranges'))


def check_name(name, what):
    """A name, if it is one that an object or a container can have.

    :raises EntryError: it is not; 412 is Swift's own status for some names
    """
    if not isinstance(name, str) or not name:
        raise EntryError(400, f'{what} is not a name')
    try:
        name.encode('utf-8')
    except UnicodeEncodeError:
        raise EntryError(412, f'{what} is not Unicode')
    if '\0' in name:
        raise EntryError(412, f'{what} contains NUL')
    return name


def _etag(etag):
    if etag is None:
        return None
    if isinstance(etag, str):
        bare = etag[1:-1] if etag[:1] == etag[-1:] == '"' else etag
        if _ETAG.match(bare):
            return bare
    raise EntryError(400, 'etag is not an entity tag')


def _ranges(ranges):
    if ranges is None:
        return ()
    if not isinstance(ranges, list) or not 1 <= len(ranges) <= MAX_RANGES:
        raise EntryError(
            400, f'ranges is not a list of 1 to {MAX_RANGES} ranges')
    for item in ranges:
        if not (isinstance(item, list) and len(item) == 2
                and _position(item[0]) and _position(item[1])):
            raise EntryError(400, 'a range is not [first, last]')
        first, last = item
        if first is None and last is None:
            raise EntryError(400, 'a range is not [first, last]')
        if None not in item and last < first:
            raise EntryError(400, 'a range ends before it starts')
    return tuple((first, last) for first, last in ranges)


def _position(value):
    return value is None or (
        type(value) is int and 0 <= value <= MAX_POSITION)
