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

"""Clients: processes that read items one after the other, and take the time.

They are the same for all servers: one process for each client, with one
connection that is kept open. GETs are written to a socket as they are; batches
go through http.client, since their answers come in chunks.
"""

import array
import http.client
import itertools
import json
import multiprocessing
import random
import resource
import socket
import threading
import time
import typing

from ai_factory_plugins.dataset import frames
from benchmarks.swift import layouts
from benchmarks.swift import usage

_TIMEOUT = 60


class LoadError(Exception):
    """A client has not got what it has asked for; the message says what."""


class Target(typing.NamedTuple):
    """Where a way of reading finds what it reads.

    :param port: on loopback
    :param paths: dict of object to the path of its GET, quoted; or of
        ``None`` to that of a batch
    :param headers: dict, of all requests
    """

    port: int
    paths: dict
    headers: dict


class Job(typing.NamedTuple):
    """What the clients do.

    :param target: :class:`Target`
    :param layout: :class:`~benchmarks.swift.layouts.Layout`
    :param item: bytes of an item
    :param batch: items of a request; 0 for GETs of one each
    :param clients: how many
    :param lead: seconds of reading beforehand, which do not count
    :param seconds: for how long
    :param once: whether each item is read once, and not again, nor beforehand
    """

    target: Target
    layout: layouts.Layout
    item: int
    batch: int
    clients: int
    lead: float
    seconds: float
    once: bool


class Outcome(typing.NamedTuple):
    """What the clients of a job have done.

    :param items: that all have read
    :param seconds: from the first request to the last answer
    :param latencies: seconds of each request, in ascending order
    :param servers: dict of role to CPU seconds
    :param generators: CPU seconds of all clients
    :param busiest: the largest share of its time that a client was on a CPU
    :param others: cores that were busy with none of these
    """

    items: int
    seconds: float
    latencies: typing.Sequence
    servers: dict
    generators: float
    busiest: float
    others: float


def run(job, leaders):
    """Let the clients of a job work.

    :param leaders: see :func:`~benchmarks.swift.usage.seconds`
    :returns: :class:`Outcome`
    :raises LoadError: one of them has failed
    """
    context = multiprocessing.get_context('fork')
    barrier = context.Barrier(job.clients + 1)
    pipes, processes = [], []
    for number in range(job.clients):
        ours, theirs = context.Pipe(duplex=False)
        pipes.append(ours)
        processes.append(context.Process(
            target=_client, args=(job, number, barrier, theirs)))
    for process in processes:
        process.start()
    try:
        _await(barrier, job)
        # To look takes its time: nobody reads until it is done.
        before, machine = usage.seconds(leaders), usage.machine()
        begun = time.monotonic()
        barrier.wait(_TIMEOUT)
        results = [pipe.recv() if pipe.poll(job.seconds + _TIMEOUT)
                   else 'it does not answer' for pipe in pipes]
        elapsed = time.monotonic() - begun
        machine = usage.machine() - machine
        after = usage.seconds(leaders)
    except (EOFError, threading.BrokenBarrierError) as exc:
        raise LoadError(f'a client has failed: {exc!r}')
    finally:
        for process in processes:
            process.terminate()
            process.join()
    failed = [result for result in results if isinstance(result, str)]
    if failed:
        raise LoadError(failed[0])
    return _outcome(results, elapsed, machine, {
        role: value - before[role] for role, value in after.items()})


def _await(barrier, job):
    """Wait until all clients are ready.

    :raises LoadError: they are not, although there was time
    """
    deadline = time.monotonic() + job.lead + _TIMEOUT
    while barrier.n_waiting < job.clients:
        if time.monotonic() > deadline:
            raise LoadError('the clients do not begin')
        time.sleep(0.01)


def _outcome(results, elapsed, machine, servers):
    latencies = array.array('d')
    for _, _, _, some in results:
        latencies.frombytes(some)
    seconds = max(result[1] for result in results)
    generators = sum(result[2] for result in results)
    return Outcome(
        sum(result[0] for result in results), seconds, sorted(latencies),
        servers, generators, max(
            result[2] / result[1] for result in results if result[0]),
        max(machine - generators - sum(servers.values()), 0) / elapsed)


def _client(job, number, barrier, pipe):
    """One client; it sends what it has done, or what has gone wrong."""
    chosen, read, failure = iter(()), None, None
    try:
        read = (_Batches if job.batch else _Gets)(job)
        chosen = _choose(job, number)
        if not job.once:
            until = time.monotonic() + job.lead
            read(next(chosen))
            while time.monotonic() < until:
                read(next(chosen))
    except Exception as exc:
        failure = f'{type(exc).__name__}: {exc}'
    barrier.wait(_TIMEOUT + job.lead)
    try:
        pipe.send(failure or _work(job, read, chosen))
    except Exception as exc:
        pipe.send(f'{type(exc).__name__}: {exc}')


def _work(job, read, chosen):
    """Read until the time is up, or all is read."""
    used, begun = _cpu(), time.monotonic()
    deadline, now, items = begun + job.seconds, begun, 0
    latencies = array.array('d')
    for wanted in chosen:
        read(wanted)
        then, now = now, time.monotonic()
        latencies.append(now - then)
        items += len(wanted)
        if now > deadline:
            break
    return items, max(now - begun, 1e-9), _cpu() - used, latencies.tobytes()


def _cpu():
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


def _choose(job, number):
    """What a client reads: an iterator of lists of (object, first byte)."""
    items, count = job.layout.items(job.item), max(job.batch, 1)
    if job.once:
        # The same for all ways of reading.
        random.Random(0).shuffle(items)
        mine = items[number::job.clients]
        return iter([mine[start:start + count]
                     for start in range(0, len(mine), count)])
    rng = random.Random(number)
    return (rng.choices(items, k=count) for _ in itertools.count())


class _Gets:
    """Reads items with a GET of a range each.

    :param job: a :class:`Job`
    """

    def __init__(self, job):
        target, self._item = job.target, job.item
        headers = ''.join(f'{name}: {value}\r\n' for name, value in {
            'Host': f'127.0.0.1:{target.port}', **target.headers}.items())
        self._heads = {
            name: f'GET {path} HTTP/1.1\r\n{headers}Range: bytes='.encode()
            for name, path in target.paths.items()}
        self._socket = socket.create_connection(
            ('127.0.0.1', target.port), _TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(job.item + 65536))

    def __call__(self, wanted):
        for name, first in wanted:
            self._socket.sendall(b'%s%d-%d\r\n\r\n' % (
                self._heads[name], first, first + self._item - 1))
            start = self._receive()
            if self._buffer[start:start + layouts.STAMP] != (
                    layouts.stamp(name, first)):
                raise LoadError(f'{name}, {first}: other bytes')

    def _receive(self):
        """Receive an answer.

        :returns: where its body begins in the buffer
        """
        end, start = 0, -1
        while start < 0:
            end += self._more(end)
            start = bytes(self._buffer[:min(end, 16384)]).find(b'\r\n\r\n')
            if start < 0 and end > 16384:
                raise LoadError('an answer without end')
        head = bytes(self._buffer[:start]).lower()
        if not head.startswith(b'http/1.1 206 '):
            raise LoadError(head.decode('latin-1'))
        if b'content-length: %d\r' % self._item not in head + b'\r':
            raise LoadError(head.decode('latin-1'))
        start += 4
        while end < start + self._item:
            end += self._more(end)
        return start

    def _more(self, end):
        count = self._socket.recv_into(self._buffer[end:])
        if not count:
            raise LoadError('the connection was closed')
        return count


class _Batches:
    """Reads items with one request.

    :param job: a :class:`Job`
    """

    def __init__(self, job):
        self._target, self._item = job.target, job.item
        self._path, = job.target.paths.values()
        self._connection = http.client.HTTPConnection(
            '127.0.0.1', job.target.port, timeout=_TIMEOUT)

    def __call__(self, wanted):
        self._connection.request('POST', self._path, b''.join(
            json.dumps({'object': name, 'ranges': [
                [first, first + self._item - 1]]}).encode() + b'\n'
            for name, first in wanted), self._target.headers)
        response = self._connection.getresponse()
        if response.status != 200:
            raise LoadError(f'{response.status}: {response.read()!r}')
        for number, (name, first) in enumerate(wanted):
            self._entry(response, number, name, first)
        if frames.read(response.read).kind != frames.END:
            raise LoadError('more than was asked for')
        response.read()

    def _entry(self, response, number, name, first):
        left, begins = self._item, True
        while left > 0:
            frame = frames.read(response.read)
            if (frame.entry, frame.status) != (number, 206) or (
                    frame.kind not in (frames.ENTRY, frames.DATA)):
                raise LoadError(f'{name}: {frame}')
            if begins and len(frame.data):
                begins = False
                if frame.data[:layouts.STAMP] != layouts.stamp(name, first):
                    raise LoadError(f'{name}, {first}: other bytes')
            left -= len(frame.data)
        if left:
            raise LoadError(f'{name}: more bytes than asked for')
