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

"""A server of statsd that adds up what it is told."""

import collections
import socket
import threading
import time


class Statsd:
    """One server, on a port of loopback that the system chooses.

    Datagrams are ``NAME:VALUE|c`` and ``NAME:MILLISECONDS|ms``, one or several
    lines, with ``|@RATE`` where they are sampled; see statsd's
    docs/metric_types.md.
    """

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(('127.0.0.1', 0))
        self._socket.settimeout(0.1)
        self._lock = threading.Lock()
        self._counts = collections.Counter()
        self._timings = collections.defaultdict(list)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def options(self, prefix=''):
        """Options with which a server of Swift tells this one everything.

        :param prefix: what stands before all names
        """
        host, port = self._socket.getsockname()
        return {'log_statsd_host': host, 'log_statsd_port': port,
                'log_statsd_default_sample_rate': 1,
                'log_statsd_metric_prefix': prefix}

    def counts(self):
        """What the counters have been told in all, by their names."""
        with self._lock:
            return collections.Counter(self._counts)

    def settled_counts(self):
        """The same, when no more come.

        A batch is counted when its client has all of it.
        """
        found, before = self.counts(), None
        while found != before:
            time.sleep(0.3)
            found, before = self.counts(), found
        return found

    def timings(self):
        """Milliseconds, as they came, by the names of the timers."""
        with self._lock:
            return {name: list(found)
                    for name, found in self._timings.items()}

    def close(self):
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def _receive(self):
        while not self._stopped.is_set():
            try:
                datagram = self._socket.recv(65536)
            except TimeoutError:
                continue
            with self._lock:
                for line in datagram.decode().splitlines():
                    self._note(line)

    def _note(self, line):
        name, _, rest = line.rpartition(':')
        value, kind, *_ = rest.split('|')
        if kind == 'c':
            self._counts[name] += int(value)
        elif kind == 'ms':
            self._timings[name].append(float(value))
