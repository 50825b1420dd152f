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

"""The framing of answers: of the proxy to its client, and of a disk to it.

A frame is a header of 16 bytes, a JSON object and data. The header has, in
network byte order, the kind (1 byte), a byte that is 0, the status of the
entry (2 bytes), the number of the entry, the length of the JSON text and the
length of the data (4 bytes each).
"""

import json
import struct
import typing

HEADER = struct.Struct('!BxHIII')
CONTENT_TYPE = 'application/x-swift-batch-read'

ENTRY = 1   #: the first frame of an entry; all that is known, and data
DATA = 2    #: more data of the entry
ABORT = 3   #: there will be no more data of the entry, and what came is void
END = 4     #: nothing is missing; the number is that of all entries
KINDS = frozenset((ENTRY, DATA, ABORT, END))

MAX_META = 128 * 1024   #: bytes of JSON in a frame
MAX_DATA = 1024 * 1024  #: bytes of data in a frame
PIECE = 256 * 1024      #: bytes of data in those that are sent here
BLOCK = 256 * 1024      #: bytes that are received at once

_dump = json.JSONEncoder(separators=(',', ':')).encode


class FrameError(Exception):
    """What was received is not a frame, or not all of one."""


class Frame(typing.NamedTuple):
    """One frame as it was received.

    :param kind: one of the kinds above
    :param status: HTTP status of the entry
    :param entry: number of the entry in the request, from 0
    :param text: the JSON text, as bytes; empty for an empty object
    :param data: bytes or a memoryview
    """

    kind: int
    status: int
    entry: int
    text: bytes
    data: bytes

    @property
    def meta(self):
        """The JSON object.

        :raises FrameError: it is none
        """
        if not self.text:
            return {}
        try:
            meta = json.loads(self.text)
        except (ValueError, RecursionError) as exc:
            raise FrameError(f'no JSON in a frame: {exc}')
        if not isinstance(meta, dict):
            raise FrameError('no JSON object in a frame')
        return meta


def encode(kind, status, entry, meta=None, data=b''):
    """A frame, as a list of what is to be sent.

    :param meta: dict, or its JSON text as bytes
    :param data: bytes or a memoryview
    """
    if not meta:
        text = b''
    elif isinstance(meta, bytes):
        text = meta
    else:
        text = _dump(meta).encode('ascii')
    head = HEADER.pack(kind, status, entry, len(text), len(data))
    return [head + text, data] if len(data) else [head + text]


def pieces(kind, status, entry, meta, data):
    """Data of any length, as frames.

    The first is of the kind that is given, and has ``meta``; the others are
    of the kind :data:`DATA`.

    :returns: iterator of lists of what is to be sent
    """
    view = memoryview(data)
    yield encode(kind, status, entry, meta, view[:PIECE])
    for start in range(PIECE, len(view), PIECE):
        yield encode(DATA, status, entry, None, view[start:start + PIECE])


class Pieces:
    """Makes what :func:`read` wants of pieces as they come.

    :param take: called with a number of bytes, returns some of them as soon
        as there are any, none at the end
    :param take_into: called with a memoryview, fills some of it, returns how
        many bytes
    :param block: how many bytes to take at once; more are taken into place
    :param left: bytes that have been taken already
    """

    def __init__(self, take, take_into, block=BLOCK, left=b''):
        self._take = take
        self._take_into = take_into
        self._block = block
        self._left = memoryview(left)

    def receive(self, size):
        """So many bytes, or fewer if there are no more.

        :returns: bytes, or a memoryview of what nobody writes to any more
        """
        left = self._left
        if len(left) >= size:
            self._left = left[size:]
            return left[:size]
        self._left = memoryview(b'')
        missing = size - len(left)
        if missing >= self._block:
            return self._receive_large(left, size)
        found = [left]
        while missing > 0:
            piece = memoryview(self._take(self._block))
            if not piece:
                break
            found.append(piece[:missing])
            self._left = piece[missing:]
            missing -= len(piece)
        return b''.join(found)

    def _receive_large(self, left, size):
        data, got = memoryview(bytearray(size)), len(left)
        data[:got] = left
        while got < size:
            count = self._take_into(data[got:])
            if not count:
                break
            got += count
        return data[:got]


def read(receive):
    """Receive one frame.

    :param receive: called with a number of bytes, returns as many, or fewer
        if there are no more; bytes or a memoryview
    :returns: a :class:`Frame`
    :raises FrameError: it is malformed, or the stream has ended
    """
    head = receive(HEADER.size)
    if len(head) < HEADER.size:
        raise FrameError('the answer is cut short')
    kind, status, entry, text_size, data_size = HEADER.unpack(head)
    if (kind not in KINDS or head[1] or text_size > MAX_META
            or data_size > MAX_DATA):
        raise FrameError('what was received is not a frame')
    text = bytes(receive(text_size)) if text_size else b''
    data = receive(data_size) if data_size else b''
    if len(text) < text_size or len(data) < data_size:
        raise FrameError('the answer is cut short')
    return Frame(kind, status, entry, text, data)
