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
"""One read for all that want the same at the same time."""

import threading


class FlightFailed(Exception):
    """What one waits for does not come."""


class Flight:
    """Something that one reads, and others wait for.

    :param event: what has ``set()`` and ``wait(timeout)``
    """

    def __init__(self, event):
        self._event = event
        self._value = None
        self._error = None
        self.waiters = 0
        #: whether what is being read may be old by now
        self.is_overtaken = False

    def wait(self, timeout):
        """What has been read.

        :param timeout: seconds
        :raises FlightFailed: reading has failed, or takes too long
        """
        self.waiters += 1
        try:
            if not self._event.wait(timeout):
                raise FlightFailed('it takes too long')
        finally:
            self.waiters -= 1
        if self._error is not None:
            raise FlightFailed(self._error)
        return self._value

    def land(self, value):
        self._value = value
        self._event.set()

    def fail(self, error):
        self._error = str(error) or repr(error)
        self._event.set()


class Flights:
    """What is being read now.

    Whoever is the first to want something leads, and has to end the flight in
    any case, with :meth:`land` or :meth:`fail`. After that the next one who
    wants it leads another.

    :param make_event: makes the events that others wait for
    """

    def __init__(self, make_event=threading.Event):
        self._make_event = make_event
        self._flights = {}

    def __len__(self):
        return len(self._flights)

    def join(self, key):
        """Lead or follow.

        :returns: whether one leads, and the :class:`Flight`
        """
        flight = self._flights.get(key)
        if flight is not None:
            return False, flight
        flight = self._flights[key] = Flight(self._make_event())
        return True, flight

    def land(self, key, value):
        """Give what was read to all that wait."""
        self._flights.pop(key).land(value)

    def fail(self, key, error):
        """Tell all that wait that it does not come.

        :param error: why
        """
        self._flights.pop(key).fail(error)

    def overtake(self, key):
        """Tell who reads something, if anybody does, that it may be old."""
        flight = self._flights.get(key)
        if flight is not None:
            flight.is_overtaken = True

    def is_wanted(self, key):
        """Whether anybody waits for something."""
        flight = self._flights.get(key)
        return flight is not None and flight.waiters > 0
