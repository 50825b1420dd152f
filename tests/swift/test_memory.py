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

"""What 64 batches at once take of a proxy's memory."""

import contextlib
import os
import threading
import time

import pytest

from tests.swift import api
from tests.swift import caches
from tests.swift import large
from tests.swift import processes

MIB = 1024 * 1024
BATCHES = 64
MOST = 3 * MIB  # of one batch


@pytest.fixture
def proxy(swift):
    """Answers so many batches at once."""
    with processes.configured(swift, batch_read={
            **swift.settings.batch_read, 'max_batches': BATCHES}):
        yield swift


@pytest.fixture(params=['plain', 'segmented'])
def names(request, tester, container):
    """Objects of 8 MiB."""
    found = []
    for number in range(4):
        name = f'o{number}'
        if request.param == 'plain':
            tester.put(f'/{container}/{name}', os.urandom(8 * MIB))
        else:
            large.upload(tester, container, name,
                         [os.urandom(MIB) for _ in range(8)])
        found.append(name)
    return found


def test_clients_that_do_not_read(proxy, tester, container, names):
    """Some data is on its way to each, and most stays with the disks."""
    wanted = [{'object': names[n % 4], 'ranges': [[n, n + MIB - 1]]}
              for n in range(90)]
    tester.batch(wanted[:8], container)
    before = caches.memory(proxy, tester.proxy)
    with contextlib.ExitStack() as stack:
        for _ in range(BATCHES):
            stack.enter_context(
                tester.begun_batch(wanted, container, length=1000))
        grown = caches.memory(proxy, tester.proxy) - before
    assert grown < BATCHES * MOST


def test_clients_that_read(proxy, tester, container, names):
    wanted = [{'object': names[n % 4], 'ranges': [[n, n + 256 * 1024 - 1]]}
              for n in range(12)]
    tester.batch(wanted[:8], container)
    before = caches.memory(proxy, tester.proxy)
    read = []

    def run():
        # Swift takes a token for a wrong one if memcached is slow to answer.
        while (response := tester.post_batch(
                wanted, container)).status == 401:
            time.sleep(0.1)
        read.append(len(api.decode(response.body, len(wanted))))
    threads = [threading.Thread(target=run) for _ in range(BATCHES)]
    for thread in threads:
        thread.start()
    most = before
    while any(thread.is_alive() for thread in threads):
        most = max(most, caches.memory(proxy, tester.proxy))
        threads[0].join(0.05)
        threads = [thread for thread in threads if thread.is_alive()]
    assert read == [len(wanted)] * BATCHES
    assert most - before < BATCHES * MOST


def test_as_many_entries_as_there_may_be(proxy, tester, container):
    tester.put(f'/{container}/o', bytes(20000))
    # The answer waits for a client when all are known that are wanted.
    wanted = [{'object': 'o'}] * 500
    wanted += [{'object': f'o{n}', 'ranges': [[n, n + 9]], 'id': 'i' * 250}
               for n in range(9500)]
    before = caches.memory(proxy, tester.proxy)
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(
                tester.begun_batch(wanted, container, length=1000))
        time.sleep(2)
        grown = caches.memory(proxy, tester.proxy) - before
    assert grown < 8 * 10000 * 1024
