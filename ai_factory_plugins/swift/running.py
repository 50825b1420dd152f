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

"""How many answers a process gives at once, and when each of them is over."""


class Slots:
    """Places for answers, of one process.

    :param limit: how many there are
    """

    def __init__(self, limit):
        self._limit = limit
        self._taken = 0

    def take(self):
        """A :class:`Slot`, or None if all are taken."""
        if self._taken >= self._limit:
            return None
        self._taken += 1
        return Slot(self)

    def _give_back(self):
        self._taken -= 1


class Slot:
    """The place of one answer."""

    def __init__(self, slots):
        self._slots = slots

    def give_back(self):
        """Let another have it; to do so twice does no harm."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._give_back()


class Counted:
    """An answer that tells when it is over, begun or not.

    :param stream: an :class:`~ai_factory_plugins.swift.answer.Answer`
    :param slot: its :class:`Slot`
    :param done: called with the stream when it is over
    """

    def __init__(self, stream, slot, done):
        self._stream = stream
        self._iter = iter(stream)
        self._slot = slot
        self._done = done
        self._first = []

    def __iter__(self):
        # Others close what they iterate over, which has to be this.
        return self

    def __next__(self):
        return self._first.pop() if self._first else next(self._iter)

    def begin(self):
        """Make the first piece, which shows whether there is an answer."""
        self._first.append(next(self._iter))

    def discard(self):
        """Close it, as if it had never been."""
        self._done = lambda stream: None
        self.close()

    def close(self):
        done, self._done = self._done, None
        if done is not None:
            try:
                self._iter.close()
                self._stream.close()
            finally:
                self._slot.give_back()
                done(self._stream)
