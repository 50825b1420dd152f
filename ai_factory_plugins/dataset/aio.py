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

"""Batches for asyncio: many readers at once, in few requests."""

import asyncio
import collections
import concurrent.futures
import functools
import itertools


class AsyncBatchReader:
    """Reads as a :class:`~ai_factory_plugins.dataset.client.BatchReader`.

    The requests are made by threads; those that the batches of one call need
    run ahead of what is taken out.

    :param reader: a :class:`~ai_factory_plugins.dataset.client.BatchReader`
    :param batch: items of one request
    :param ahead: requests that are under way at once
    """

    def __init__(self, reader, batch=256, ahead=2):
        self._reader = reader
        self._batch = batch
        self._ahead = ahead
        self._pool = concurrent.futures.ThreadPoolExecutor(
            max(ahead, 8), thread_name_prefix='batch-read')

    async def read(self, items, container=None):
        """Read items.

        :param items: iterable of
            :class:`~ai_factory_plugins.dataset.client.Item`
        :param container: of the items that do not name one
        :returns: asynchronous iterator of
            :class:`~ai_factory_plugins.dataset.client.Result`, in the order
            of the items
        :raises ServerError: a batch is refused as a whole
        :raises OSError: the server cannot be reached
        """
        items = iter(items)
        pending = collections.deque()
        loop = asyncio.get_running_loop()
        try:
            while True:
                while len(pending) < self._ahead and (
                        some := list(itertools.islice(items, self._batch))):
                    pending.append(loop.run_in_executor(
                        self._pool, functools.partial(
                            self._all, some, container)))
                if not pending:
                    return
                for result in await pending.popleft():
                    yield result
        finally:
            for future in pending:
                future.cancel()

    def _all(self, items, container):
        return list(self._reader.read(items, container))

    def merger(self, delay=0.001):
        """Reads of single items, of which those of one moment are merged.

        :param delay: seconds that an item waits for others
        :returns: a :class:`Merger`
        """
        return Merger(self._reader, self._pool, self._batch, delay)

    def call(self, function, *args):
        """Call something that waits, in a thread.

        :returns: a future of its result
        """
        return asyncio.get_running_loop().run_in_executor(
            self._pool, function, *args)

    def close(self):
        """End the threads; what they have not begun fails."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Merger:
    """Makes one request of what many tasks ask for at about the same time.

    :param reader: a :class:`~ai_factory_plugins.dataset.client.BatchReader`
    :param pool: an executor
    :param most: items of one request
    :param delay: seconds that an item waits for others
    """

    def __init__(self, reader, pool, most, delay):
        self._reader = reader
        self._pool = pool
        self._most = most
        self._delay = delay
        self._waiting = []
        self._timer = None

    async def read(self, item):
        """Read one item.

        :param item: a :class:`~ai_factory_plugins.dataset.client.Item` that
            names its container
        :returns: its :class:`~ai_factory_plugins.dataset.client.Result`
        :raises: as the reader
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._most:
            self._send(loop)
        elif self._timer is None:
            self._timer = loop.call_later(self._delay, self._send, loop)
        return await future

    def _send(self, loop):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wanted, self._waiting = self._waiting, []
        # Nobody waits any more for what was cancelled.
        wanted = [pair for pair in wanted if not pair[1].done()]
        if not wanted:
            return
        try:
            job = self._pool.submit(self._read, loop, wanted)
        except RuntimeError as exc:
            for _, future in wanted:
                _fail(future, exc)
        else:
            job.add_done_callback(
                functools.partial(self._given_up, loop, wanted))

    @staticmethod
    def _given_up(loop, wanted, job):
        """Tell those who wait that the threads have ended before."""
        if job.cancelled() and not loop.is_closed():
            for _, future in wanted:
                loop.call_soon_threadsafe(
                    _fail, future, RuntimeError('the reader is closed'))

    def _read(self, loop, wanted):
        """Read a batch, and give each result to who waits for it."""
        left = collections.deque(future for _, future in wanted)
        try:
            for result in self._reader.read([item for item, _ in wanted]):
                loop.call_soon_threadsafe(_settle, left.popleft(), result)
        except BaseException as exc:
            for future in left:
                loop.call_soon_threadsafe(_fail, future, exc)
            if not isinstance(exc, Exception):
                raise


def _settle(future, result):
    if not future.done():
        future.set_result(result)


def _fail(future, exc):
    if not future.done():
        future.set_exception(exc)
