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

"""Servers, started as they are needed, and one measurement after the other."""

import http.client
import shutil
import sys
import time

from benchmarks.swift import layouts
from benchmarks.swift import loads
from benchmarks.swift import report
from benchmarks.swift import servers
from benchmarks.swift import swifts
from benchmarks.swift import usage
from cloud import errors


class Matrix:
    """Measures cells.

    :param root: directory for the servers
    :param port: the first of their ports
    :param ways: list of :class:`~benchmarks.swift.ways.Way`
    :param seconds: of each measurement
    :param objects: see :func:`~benchmarks.swift.layouts.layout`
    :param max_age: see :class:`~benchmarks.swift.swifts.Swift`
    """

    def __init__(self, root, port, ways, seconds, objects, max_age):
        self._root, self._port, self._max_age = root, port, max_age
        self._ways, self._seconds, self._objects = ways, seconds, objects
        self._running = {}
        self._replicas = None
        self._done, self._all, self._begun = 0, 0, time.monotonic()
        self.missing = {}

    def run(self, cells, rounds):
        """Measure all ways for all cells.

        :returns: iterator of (cell, list of :class:`~report.Sample`)
        """
        # Each Swift is started once; what is cold has to be read again.
        cells = sorted(cells, key=lambda cell: (
            -cell.replicas, cell.cache == 'cold'))
        self._all = len(cells) * len(self._ways) * rounds
        try:
            for cell in cells:
                found = []
                for number in range(rounds):
                    for way in self._ways:
                        found.append(self._sample(cell, way, number))
                yield cell, found
        finally:
            for server in self._running.values():
                server.down()
            shutil.rmtree(self._root, ignore_errors=True)

    def _sample(self, cell, way, number):
        self._progress(cell, way)
        try:
            server = self._server(cell, way)
            outcome, left = self._measure(cell, way, server)
        except servers.Unavailable as exc:
            self.missing[way.server] = str(exc)
            return report.Sample(cell, way, number, error=str(exc))
        except (loads.LoadError, errors.CloudError, OSError,
                http.client.HTTPException) as exc:
            return report.Sample(cell, way, number, error=str(exc))
        finally:
            self._done += 1
        return report.Sample.of(cell, way, number, outcome, left)

    def _server(self, cell, way):
        """The server of a way, running."""
        if way.server in self.missing:
            raise servers.Unavailable(self.missing[way.server])
        if way.server == 'swift' and self._replicas != cell.replicas:
            if 'swift' in self._running:
                self._running.pop('swift').down()
            self._replicas = cell.replicas
        if way.server not in self._running:
            self._running[way.server] = server = self._make(way, cell)
            server.up()
        return self._running[way.server]

    def _make(self, way, cell):
        if way.server == 'swift':
            return swifts.Swift(
                self._root, self._port, cell.replicas, self._max_age)
        kinds = (servers.Nginx, servers.Seaweed)
        port = self._port + swifts.Swift.PORTS
        for kind in kinds:
            if kind.NAME == way.server:
                return kind(self._root, port)
            port += kind.PORTS
        raise LookupError(way.server)

    def _measure(self, cell, way, server):
        """Measure one.

        :returns: (:class:`~loads.Outcome`, share of files that are in the page
            cache although they should not be)
        """
        layout = layouts.layout(cell.layout, cell.size, self._objects)
        server.write(layout)
        is_cold, left = cell.cache == 'cold', 0
        if is_cold:
            server.forget(way)
            left = usage.evict(server.files(layout))
        else:
            usage.load(server.files(layout))
            server.warm(layout, way)
        job = loads.Job(
            server.target(layout, way), layout, cell.size,
            way.batch_of(cell.size), cell.clients, server.lead(layout, way),
            self._seconds, is_cold)
        return loads.run(job, server.leaders(way)), left

    def _progress(self, cell, way):
        """Say on a terminal, or in a log, what comes now."""
        passed = time.monotonic() - self._begun
        left = ''
        if self._done > len(self._ways):
            rest = passed / self._done * (self._all - self._done)
            left = f', about {rest / 60:.0f} min left'
        text = (f'[{self._done + 1}/{self._all}, {passed / 60:.1f} min{left}] '
                f'{way.name}: {cell}')
        is_terminal = sys.stderr.isatty()
        print(f'\r\033[K{text}' if is_terminal else text,
              end='' if is_terminal else '\n', file=sys.stderr, flush=True)
