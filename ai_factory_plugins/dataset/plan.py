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
import math
import random


def assign(wanted, per_request, prefer=(), rng=random):
    """Choose servers, as few as hold all, more for a large batch.

    :param wanted: dict of a key to (weight, servers that hold it); keys
        without a server are left out of the answer
    :param per_request: weight from which on it is spread over more servers
    :param prefer: servers that are in use already
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
    order = sorted(holders, key=lambda server: (
        server not in prefer, rng.random()))
    chosen = []
    while left:
        best = max(order, key=lambda server: len(holders[server] & left))
        order.remove(best)
        chosen.append(best)
        left -= holders[best]
    order.sort(key=lambda server: len(holders[server]), reverse=True)
    chosen += order[:max(width - len(chosen), 0)]
    return _spread(wanted, chosen)


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
