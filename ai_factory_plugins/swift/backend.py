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

"""What the proxy asks of an object server.

A request has the method ``READV``, which an object server without the filter
refuses, and a JSON document; the answer is a stream of frames, see
:mod:`ai_factory_plugins.dataset.frames`. Proxy and object server are upgraded
one by one, so the document has a version, and others are refused.
"""

import json
import typing

METHOD = 'READV'
PATH = '/batch-read'
VERSION = 1
#: Header of a request whose frames are to have the headers of the objects, as
#: ``headers``; object servers that do not know it give none.
WITH_HEADERS = 'X-Backend-Batch-Headers'

#: Status of an entry that the proxy has to read the ordinary way: its bytes
#: on disk are not those that a client is to get.
UNSUITABLE = 501
#: Status of an entry of which the bytes that were sent may be wrong.
VOID = 422


class MessageError(ValueError):
    """The document is not one that the proxy sends."""


class Target(typing.NamedTuple):
    """An object on a device.

    :param policy: index of the storage policy
    """

    device: str
    partition: int
    policy: int
    account: str
    container: str
    object: str


class Read(typing.NamedTuple):
    """Ranges of an object.

    :param entry: number of the entry, which the frames have
    :param target: number of the :class:`Target` in the document
    :param ranges: sequence of ranges, empty for the whole object
    :param etag: what the object has to have, or None
    """

    entry: int
    target: int
    ranges: tuple
    etag: str | None


def dump(targets, reads):
    """The document, as bytes."""
    return json.dumps(
        {'version': VERSION, 'targets': targets, 'reads': reads},
        separators=(',', ':')).encode('ascii')


def load(body):
    """What a document asks for.

    :param body: bytes
    :returns: list of :class:`Target`, list of :class:`Read`
    :raises MessageError: it is malformed, or of another version
    """
    try:
        message = json.loads(body)
        if message['version'] != VERSION:
            raise MessageError('unknown version')
        targets = [Target(*item) for item in message['targets']]
        reads = [Read(entry, target, _ranges(ranges), etag)
                 for entry, target, ranges, etag in message['reads']]
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise MessageError(f'malformed: {exc}')
    for item in targets:
        if not (_number(item.partition) and _number(item.policy) and all(
                isinstance(name, str) and name for name in (
                    item.device, item.account, item.container,
                    item.object))):
            raise MessageError('malformed target')
    for item in reads:
        if not (_number(item.entry) and item.entry < 2 ** 32
                and _number(item.target) and item.target < len(targets)
                and isinstance(item.etag, str | None)):
            raise MessageError('malformed read')
    return targets, reads


def _number(value):
    return type(value) is int and value >= 0


def _ranges(ranges):
    for first, last in ranges:
        if not (_number(first) or first is None and _number(last)):
            raise MessageError('malformed range')
        if last is not None and not _number(last):
            raise MessageError('malformed range')
        if None not in (first, last) and last < first:
            raise MessageError('malformed range')
    return tuple((first, last) for first, last in ranges)
