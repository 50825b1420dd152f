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

"""Which server is asked for which object."""

import collections
import heapq
import math
import random


class Wave:
    """Decides how many objects are asked for before others wait.

    Asking for all at once would, on a cluster of many servers, take a
    connection to each of them.

    :param servers: how many servers may be needed
    :param entries: how many entries it may have
    """

    def __init__(self, servers, entries, rng=random):
        self._servers = servers
        self._left = entries
        self._rng = rng
        self._chosen = set()

    def admits(self, holders):
        """Whether one more entry may be asked for; it is counted then.

        :param holders: servers that hold the object, a set or a dict's keys
        """
        if not self._left:
            return False
        if holders and self._chosen.isdisjoint(holders):
            if len(self._chosen) >= self._servers:
                return False
            self._chosen.add(self._rng.choice(list(holders)))
        self._left -= 1
        return True


def assign(wanted, per_request, rng=random):
    """Choose servers, as few as hold all, more for a large batch.

    :param wanted: dict of a key to (weight, servers that hold it); keys
        without a server are left out of the answer
    :param per_request: weight from which on it is spread over more servers
    :param rng: breaks ties
    :returns: dict of key to server
    """
    holders = collections.defaultdict(set)
    for key, (_, servers) in wanted.items():
        for server in servers:
            holders[server].add(key)
    left = {key for key, (_, servers) in wanted.items() if servers}
    weight = sum(wanted[key][0] for key in left)
    width = math.ceil(weight / per_request)
    chosen = _cover(holders, left, rng)
    others = sorted(
        holders.keys() - set(chosen), reverse=True,
        key=lambda server: (len(holders[server]), rng.random()))
    chosen += others[:max(width - len(chosen), 0)]
    return _spread(wanted, chosen)


def _cover(holders, left, rng):
    """Servers that hold all keys, each time the one that holds most more."""
    queue = [(-len(keys), rng.random(), server)
             for server, keys in holders.items()]
    heapq.heapify(queue)
    chosen, left = [], set(left)
    while left:
        _, tie, server = heapq.heappop(queue)
        gain = len(holders[server] & left)
        # What a server adds never grows, so old numbers are upper bounds.
        if queue and gain < -queue[0][0]:
            heapq.heappush(queue, (-gain, tie, server))
        else:
            chosen.append(server)
            left -= holders[server]
    return chosen


def _spread(wanted, chosen):
    """Give each key to the server with the least weight so far."""
    loads = dict.fromkeys(chosen, 0)
    given = {}
    for key, (weight, servers) in wanted.items():
        able = [server for server in chosen if server in servers]
        if able:
            server = min(able, key=loads.__getitem__)
            loads[server] += weight
            given[key] = server
    return given
