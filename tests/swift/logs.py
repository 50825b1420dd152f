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

"""What the logs of proxies say; they may say it late."""

import time

from tests.swift import caches


def of(user, transaction):
    """The line of a request.

    :param user: an :class:`~tests.swift.api.Api`
    :param transaction: what its answer has as X-Trans-Id
    """
    log, found = user.swift.layout.log(user.proxy), []

    def is_there():
        found[:] = [line for line in log.read_text().splitlines()
                    if f' {transaction} ' in line]
        return found
    caches.until(is_there)
    line, = found
    return line


class Batches:
    """How often a proxy was asked for batches from now on."""

    def __init__(self, swift):
        self._path = swift.layout.log('proxy')
        time.sleep(0.3)  # Those before may not be there yet.
        self._start = self._path.stat().st_size

    @property
    def count(self):
        """How often, at least once."""
        caches.until(self._read)
        time.sleep(0.3)
        return self._read()

    def _read(self):
        with open(self._path, 'rb') as stream:
            stream.seek(self._start)
            return stream.read().count(b'batch-read%3D1')
