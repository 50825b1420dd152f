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

"""Ways of reading, side by side."""

import typing

from benchmarks.swift import layouts
from benchmarks.swift import swifts

BATCH_BYTES = 32 * layouts.MIB  # the most that a batch has


class Way(typing.NamedTuple):
    """One way of reading.

    :param name: for people, and for ``--only``
    :param server: NAME of the server
    :param api: ``native``, ``S3`` or ``HTTP``
    :param base: name of the way that it is compared with
    :param proxy: name of Swift's proxy
    :param batch: items of a request; 0 for GETs
    """

    name: str
    server: str
    api: str
    base: str
    proxy: str = ''
    batch: int = 0

    def batch_of(self, item):
        """Items of a request where they have a size; 0 for GETs."""
        return min(self.batch, BATCH_BYTES // item)


_NATIVE, _S3 = 'stock native', 'stock S3'
ALL = (
    Way(_NATIVE, 'swift', 'native', _NATIVE, swifts.STOCK),
    Way(_S3, 'swift', 'S3', _S3, swifts.STOCK),
    Way('batch native', 'swift', 'native', _NATIVE, swifts.BATCH, 32),
    Way('batch S3', 'swift', 'S3', _S3, swifts.BATCH, 32),
    Way('cached native', 'swift', 'native', _NATIVE, swifts.CACHED),
    Way('cached S3', 'swift', 'S3', _S3, swifts.CACHED),
    Way('nginx', 'nginx', 'HTTP', _NATIVE),
    Way('seaweedfs S3', 'seaweedfs', 'S3', _S3),
)


class Cell(typing.NamedTuple):
    """What all ways are compared for.

    :param size: bytes of an item
    :param layout: one of :data:`~benchmarks.swift.layouts.KINDS`
    :param clients: how many
    :param cache: ``hot`` or ``cold``
    :param replicas: of Swift's objects
    """

    size: int
    layout: str
    clients: int
    cache: str
    replicas: int

    def __str__(self):
        return (f'{size_name(self.size)} items, {self.layout}, {self.cache}, '
                f'{self.clients} clients, {self.replicas} replicas')


CENTRE = Cell(64 * layouts.KIB, 'many', 8, 'hot', 3)
AXES = {
    'size': (4 * layouts.KIB, 64 * layouts.KIB, layouts.MIB, 8 * layouts.MIB),
    'layout': layouts.KINDS, 'clients': (1, 8, 32), 'cache': ('hot', 'cold'),
    'replicas': (3, 1)}


def star():
    """The cells from the centre along each axis, and no corners."""
    cells = [CENTRE]
    for axis, values in AXES.items():
        cells += [CENTRE._replace(**{axis: value}) for value in values
                  if value != getattr(CENTRE, axis)]
    return cells


def product(chosen):
    """The cells of some values of each axis.

    :param chosen: dict of axis to values; an axis that is missing has the
        value of the centre
    """
    cells = [CENTRE]
    for axis in AXES:
        cells = [cell._replace(**{axis: value}) for cell in cells
                 for value in chosen.get(axis) or [getattr(CENTRE, axis)]]
    return cells


def size_name(size):
    """A number of bytes, as people write it."""
    return (f'{size // layouts.MIB}M' if size % layouts.MIB == 0
            else f'{size // layouts.KIB}K')


def parse_size(text):
    """The number of bytes that people mean.

    :raises ValueError: it is none, or items cannot have it
    """
    units = {'K': layouts.KIB, 'M': layouts.MIB}
    size = int(text[:-1]) * units[text[-1]] if text[-1:] in units else 0
    if not 0 < size <= 8 * layouts.MIB or size % layouts.PAGE:
        raise ValueError(f'{text}: not a multiple of 4K up to 8M')
    return size
