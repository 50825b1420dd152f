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
"""Single items that are merged."""

import asyncio
import threading
import unittest

from ai_factory_plugins.dataset import aio


class Reader:
    """Reads an item when it may."""

    def __init__(self):
        self.may = threading.Event()

    def read(self, items, container=None):
        self.may.wait(10)
        yield from items


class MergerTest(unittest.TestCase):

    def test_merged(self):
        async def read():
            reader = Reader()
            reader.may.set()
            batches = aio.AsyncBatchReader(reader)
            merger = batches.merger()
            found = await asyncio.gather(*map(merger.read, range(5)))
            batches.close()
            return found

        self.assertEqual(asyncio.run(read()), [0, 1, 2, 3, 4])

    def test_closed_while_items_wait(self):
        """Nobody waits for ever: those that have not begun are cancelled."""
        async def read():
            reader = Reader()
            batches = aio.AsyncBatchReader(reader, batch=1)
            merger = batches.merger()
            tasks = [asyncio.create_task(merger.read(n)) for n in range(12)]
            await asyncio.sleep(0.01)
            batches.close()
            late = asyncio.create_task(batches.merger().read(12))
            await asyncio.sleep(0.01)
            reader.may.set()
            return await asyncio.wait_for(asyncio.gather(
                *tasks, late, return_exceptions=True), 5)

        found = asyncio.run(read())
        self.assertEqual(found[:8], list(range(8)))  # a thread for each
        self.assertTrue(all(isinstance(one, RuntimeError)
                            for one in found[8:]), found)
