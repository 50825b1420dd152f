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

"""What the proxy knows of its object servers."""

import collections
import time

from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import stream as streams


def device(node):
    """What tells a device of a ring from all others, of any ring."""
    return node['ip'], node['port'], node['device']


class Memory:
    """What is remembered from one batch to the next, in one process.

    It saves requests that would be refused; nothing depends on it.

    :param seconds: how long
    :param limit: how many facts
    """

    def __init__(self, seconds, limit=10000):
        self._seconds = seconds
        self._limit = limit
        self._facts = collections.OrderedDict()

    def add(self, fact):
        self._facts[fact] = time.monotonic() + self._seconds
        self._facts.move_to_end(fact)
        if len(self._facts) > self._limit:
            self._facts.popitem(last=False)

    def __contains__(self, fact):
        until = self._facts.get(fact)
        if until is None:
            return False
        if until < time.monotonic():
            del self._facts[fact]
            return False
        return True


class Cluster:
    """Object servers, for one batch.

    :param app: Swift's proxy application
    :param logger: logger of the middleware
    :param account: name
    :param trans_id: transaction id of the client's request
    :param without_filter: a :class:`Memory` of servers without the filter
    :param unsuitable: a :class:`Memory` of objects that are not stored as
        clients see them
    """

    def __init__(self, app, logger, account, trans_id, without_filter,
                 unsuitable):
        self.app = app
        self.logger = logger
        self.trans_id = trans_id
        self._account = account
        self._without_filter = without_filter
        self._unsuitable = unsuitable
        self._usable = {}

    def find(self, policy, container, name):
        """Where an object should be.

        :param policy: its storage policy
        :returns: (a :class:`~ai_factory_plugins.swift.backend.Target` without
            a device, dict of server to device); no devices if it is better
            read in another way
        """
        partition, nodes = self.app.get_object_ring(policy.idx).get_nodes(
            self._account, container, name)
        target = backend.Target(
            '', partition, int(policy), self._account, container, name)
        if target in self._unsuitable:
            return target, {}
        found = {}
        for node in self._preferred(policy, nodes):
            if self._is_usable(node):
                found.setdefault((node['ip'], node['port']), node)
        return target, found

    def _is_usable(self, node):
        """Whether a device is to be asked; looked up once a batch."""
        key = device(node)
        if key not in self._usable:
            self._usable[key] = (
                (node['ip'], node['port']) not in self._without_filter
                and not self.app.error_limited(node))
        return self._usable[key]

    def _preferred(self, policy, nodes):
        """The devices that are as good as the best, as Swift sorts them."""
        options = self.app.get_policy_options(policy)
        if options.sorting_method == 'shuffle':
            return nodes
        nodes = self.app.sort_nodes(list(nodes), policy=policy)
        if options.sorting_method == 'affinity':
            key = options.read_affinity_sort_key
            return [node for node in nodes if key(node) == key(nodes[0])]
        return nodes[:1]

    def remember(self, target):
        """Note that an object is not stored as clients see it."""
        self._unsuitable.add(target)

    def failed(self, stream, exc):
        """Note that a stream has failed."""
        if isinstance(exc, streams.Unsupported):
            self._without_filter.add(stream.server)
            self.logger.warning(
                'Object server %s:%s does not answer batches: %s; objects '
                'that no other has are read one by one', *stream.server, exc)
        elif exc.blame:
            for node in stream.nodes.values():
                self.app.error_occurred(
                    node, f'Trying to read a batch: {exc}')
