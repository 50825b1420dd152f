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
"""Who reads an object from the front to the back, and what comes next.

A reader is known by where it has to go on, since each of its requests is one
of its own. It is one after its second request that begins where one has ended.
"""

import collections

_READERS = 1024  # that are remembered
_ENOUGH = 2  # requests in a row


class Readers:
    """Notices readers.

    :param window: bytes to be ahead of a reader; 0 for not at all
    """

    def __init__(self, window):
        self._window = window
        # (object, next byte) to (requests in a row, byte read ahead to)
        self._known = collections.OrderedDict()

    def note(self, key, extent, size):
        """Take note of a request.

        :param key: what identifies the object and its version
        :param extent: what is read, a :class:`blocks.Extent`
        :param size: of the object in bytes
        :returns: (first, last) byte to read now, so that the next requests
            find it, or None
        """
        if not self._window:
            return None
        row, reached = self._known.pop((key, extent.first), (0, 0))
        row, ahead = row + 1, None
        after = extent.last + 1
        reached = max(reached, after)
        # In large steps: when half of what was read ahead is used up.
        if row >= _ENOUGH and after < size and (
                reached - after <= self._window // 2) and reached < size:
            last = min(after + self._window, size) - 1
            ahead, reached = (reached, last), last + 1
        self._known[key, after] = row, reached
        while len(self._known) > _READERS:
            self._known.popitem(last=False)
        return ahead
