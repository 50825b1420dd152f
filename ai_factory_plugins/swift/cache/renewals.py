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

"""Objects that are in use and soon too old, asked about together.

What is read in the second half of the time for which it is believed will be
read again. It waits a moment for others, and one request tells of all that a
server has. What is not confirmed grows too old, and is asked for when somebody
wants it.
"""

import time

_HALF = 0.5  # of max_age
_GATHER = 0.25  # of max_age, until the next question


class Renewals:
    """Renews records.

    :param same: takes a list of :class:`~versions.Record`, and returns those
        whose versions are certain to be there still
    :param max_age: seconds for which records are believed
    :param spawn: runs a function beside others
    :param sleep: lets others run for some seconds
    :param logger: a logger of Swift's
    """

    def __init__(self, same, max_age, spawn, sleep, logger):
        self._same = same
        self._max_age = max_age
        self._spawn = spawn
        self._sleep = sleep
        self._logger = logger
        self._due = []
        self._runs = False

    def note(self, record, age):
        """Take note that a record is used.

        :param age: seconds since Swift was asked
        """
        if record.is_due or age < self._max_age * _HALF:
            return
        record.is_due = True
        self._due.append(record)
        if not self._runs:
            self._runs = True
            self._spawn(self._run)

    def _run(self):
        try:
            while self._due:
                self._sleep(self._max_age * _GATHER)
                due, self._due = self._due, []
                self._renew(due)
        finally:
            self._runs = False

    def _renew(self, due):
        asked = time.monotonic()
        try:
            found = self._same(due)
        except Exception:
            self._logger.exception('Asking about %d objects failed', len(due))
            return
        # A record that was forgotten meanwhile stays forgotten: nobody looks
        # at it. One whose token has changed is not believed for its age.
        for record in found:
            record.renew(asked)
        self._logger.update_stats('renewals', len(found))
