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

"""What is read: objects, and items of them.

Each 4 KiB of an object begin with a stamp that no other 4 KiB have, so that
clients see at little cost that they have read the right bytes.
"""

import hashlib
import random
import struct
import typing

KIB = 1024
MIB = 1024 * KIB
PAGE = 4 * KIB  # items are multiples of it, and begin at multiples of it
LARGE = 64 * MIB
SEGMENTS = 8  # of the segmented object; S3 wants 5 MiB each at least
KINDS = ('one', 'many', 'slo')
CONTAINER = 'train'
_OFFSET = struct.Struct('!Q')
STAMP = 16  # bytes


class Layout(typing.NamedTuple):
    """Objects of one size.

    :param kind: one of :data:`KINDS`
    :param names: of the objects
    :param size: bytes of each object
    """

    kind: str
    names: tuple
    size: int

    @property
    def segment(self):
        """Bytes of a segment, or None."""
        return self.size // SEGMENTS if self.kind == 'slo' else None

    def items(self, item):
        """All items, as a list of (name, first byte).

        :param item: bytes of one
        """
        return [(name, first) for name in self.names
                for first in range(0, self.size - item + 1, item)]


def layout(kind, item, objects):
    """What items of a size are read from.

    ``one`` is a whole object of 64 MiB, ``slo`` one of segments, ``many`` are
    objects of 1 MiB, or an eighth as many of 8 MiB where items are larger.

    :param kind: one of :data:`KINDS`
    :param item: bytes of an item
    :param objects: how many objects of 1 MiB
    """
    if kind != 'many':
        return Layout(kind, (kind,), LARGE)
    size, count = (MIB, objects) if item <= MIB else (
        8 * MIB, max(objects // 8, 1))
    return Layout(kind, tuple(
        f'shard-{size // MIB}-{number:04}.tar' for number in range(count)),
        size)


def stamp(name, first):
    """The bytes at the beginning of a page."""
    return hashlib.blake2b(
        name.encode(), digest_size=STAMP - _OFFSET.size).digest() + (
            _OFFSET.pack(first))


def body(name, size):
    """The bytes of an object."""
    data = bytearray(random.Random(name).randbytes(PAGE) * (size // PAGE))
    for first in range(0, size, PAGE):
        data[first:first + STAMP] = stamp(name, first)
    return bytes(data)
