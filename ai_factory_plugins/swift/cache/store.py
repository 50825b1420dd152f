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
"""The blocks of one process: in RAM, on disk, and on their way."""

from ai_factory_plugins.swift.cache import blocks
from ai_factory_plugins.swift.cache import fifo
from ai_factory_plugins.swift.cache import flights

_BESIDES = 1536  # bytes that Python needs for a block, at the most
_CRYPTO = '-sysmeta-crypto-'


class Cancelled(Exception):
    """Nobody wants it any more."""


class Store:
    """Gets blocks, each by one read for all that want it at the same time.

    :param block: bytes of a block
    :param limit: bytes of RAM for blocks
    :param disk: a :class:`~disk.Tier`, or None
    :param spawn: runs a function beside others
    :param make_event: see :class:`~flights.Flights`
    :param patience: seconds for which a request waits for another's read
    """

    def __init__(self, block, limit, disk, spawn, make_event, patience):
        self.block = block
        self.evictions = 0
        self._ram = fifo.Fifo(limit, self._put_out)
        self._disk = disk
        self._spawn = spawn
        self._flights = flights.Flights(make_event)
        self._patience = patience

    @property
    def cost(self):
        """Bytes of RAM that the blocks take."""
        return self._ram.cost

    def _put_out(self, key, data):
        self.evictions += 1

    def lead(self, version, numbers):
        """Take it on oneself to read blocks.

        :param version: a :class:`~versions.Version`
        :returns: list of the numbers of those that are not there and that
            nobody reads. :meth:`fill` has to follow in any case.
        """
        return [number for number in numbers
                if (version.key, number) not in self._ram
                and self._flights.join((version.key, number))[0]]

    def fill(self, version, led, run, pieces, is_over=None):
        """Make blocks of bytes.

        :param led: numbers of the blocks that were taken on
        :param run: numbers of all blocks in the bytes; they follow each other
        :param pieces: iterable of bytes, with ``close()``
        :param is_over: tells whether the client has gone away
        :returns: dict of number to bytes
        """
        left, found = set(led), {}
        cutter = blocks.Cutter(run, self.block, version.size)
        try:
            for piece in pieces:
                for number, data in cutter.feed(piece):
                    found[number] = data
                    if number in left:
                        left.discard(number)
                        self._land(version, number, data)
                if is_over is not None and is_over() and not any(
                        self._flights.is_wanted((version.key, number))
                        for number in left):
                    raise Cancelled('the reader has gone away')
            if not cutter.is_complete:
                raise flights.FlightFailed('the answer is cut short')
            return found
        except BaseException as exc:
            self._fail(version, left, exc)
            raise
        finally:
            pieces.close()

    def _land(self, version, number, data, on_disk=False):
        key = version.key, number
        self._ram.put(key, data, len(data) + _BESIDES)
        self._flights.land(key, data)
        if self._disk is not None and not on_disk and _may_be_written(version):
            if self._disk.put(_file_key(version, number, self.block), data):
                self._spawn(self._disk.write)

    def _fail(self, version, numbers, exc):
        for number in numbers:
            self._flights.fail((version.key, number), exc)

    def get(self, version, numbers, read):
        """Blocks, from wherever they come.

        :param numbers: which, in ascending order
        :param read: called with an :class:`~blocks.Extent` for what is
            missing; returns an iterable of bytes with ``close()``
        :returns: dict of number to bytes, and how many of them were read
        :raises FlightFailed: another's read has failed
        """
        found, led, followed = {}, [], []
        for number in numbers:
            key = version.key, number
            data = self._ram.get(key)
            if data is not None:
                found[number] = data
                continue
            leads, flight = self._flights.join(key)
            if leads:
                led.append(number)
            else:
                followed.append((number, flight))
        count = self._read(version, led, found, read) if led else 0
        for number, flight in followed:
            found[number] = flight.wait(self._patience)
        return found, count

    def _read(self, version, led, found, read, is_over=None):
        """Read blocks from disk, or else from Swift."""
        left, count = set(led), 0
        try:
            if self._disk is not None:
                for number in led:
                    data = self._disk.get(
                        _file_key(version, number, self.block))
                    if data is not None:
                        left.discard(number)
                        found[number] = data
                        self._land(version, number, data, on_disk=True)
            for run in blocks.runs(sorted(left)):
                pieces = read(blocks.Extent(
                    run[0] * self.block,
                    blocks.bounds(run[-1], self.block, version.size).last))
                # From here on it is fill that ends the flights.
                left.difference_update(run)
                found.update(self.fill(version, run, run, pieces, is_over))
                count += len(run)
        except BaseException as exc:
            self._fail(version, left, exc)
            raise
        return count

    def read_ahead(self, version, numbers, read, is_over):
        """Read blocks that nobody has asked for yet.

        :param is_over: tells whether the reader has gone away
        """
        led = self.lead(version, numbers)
        if led:
            self._read(version, led, {}, read, is_over)


def _may_be_written(version):
    """Whether a version may be on disk: nothing of it is encrypted."""
    return not any(_CRYPTO in name for name in version.names)


def _file_key(version, number, block):
    return [*version.key, block, number]
