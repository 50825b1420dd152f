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

"""What object servers say of objects of which but one byte is read."""

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.swift import stream as streams

_FIRST_BYTE = ((0, 0),)
_BLOCK = 64 * 1024  # bytes of an answer that are received at once


class Probe:
    """Asks one object server for the first byte of many objects.

    :param nodes: a :class:`~ai_factory_plugins.swift.cluster.Cluster`
    :param server: (ip, port)
    :param with_headers: whether the objects' headers are wanted
    """

    def __init__(self, nodes, server, with_headers=False):
        self._cluster = nodes
        self._stream = streams.BackendStream(
            nodes.app, server, nodes.trans_id, with_headers)
        self._asked = []

    def add(self, item, target, node):
        """Ask for an object; only before :meth:`send`.

        :param item: what stands for it
        :param target: :class:`~ai_factory_plugins.swift.backend.Target`; its
            device does not matter
        :param node: the device in the ring
        """
        number = self._stream.add(
            item, (node['device'], *target[1:]), _FIRST_BYTE, None, node)
        self._asked.append((item, number))

    def send(self):
        """Send the request; a failure shows when reading."""
        self._stream.send(_BLOCK)

    def __iter__(self):
        """(item, the :class:`~frames.Frame` that answers it), in order.

        If the server fails, it ends early, and the cluster is told.
        """
        try:
            for item, number in self._asked:
                found = self._stream.frame_of(number)
                if found.kind != frames.ENTRY:
                    raise streams.StreamFailed('the answer is out of step')
                yield item, found
            self._stream.finish()
        except streams.StreamFailed as exc:
            self._cluster.failed(self._stream, exc)
        finally:
            self._stream.close()
