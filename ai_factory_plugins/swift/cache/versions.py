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
"""What is known of objects: which version there is, and since when."""

import collections
import typing

_BESIDES = 1024  # bytes that Python needs for a record


class Version(typing.NamedTuple):
    """One version of an object, as Swift has told it.

    :param key: identifies the bytes: (account, container, object, timestamp
        of the data, etag, size). Two versions never share it, as Swift has one
        set of data for a timestamp.
    :param headers: list of (name, value), without those of one response
    :param names: their names in lower case
    :param changed: when it was written, or its metadata later, as Swift writes
        timestamps; such strings sort by time
    :param expires: Unix time from which on it is gone, or None
    """

    key: tuple
    headers: list
    names: frozenset
    changed: str
    expires: float | None

    @property
    def written(self):
        """When its data was written, as Swift writes timestamps."""
        return self.key[3]

    @property
    def etag(self):
        return self.key[4]

    @property
    def size(self):
        """In bytes."""
        return self.key[5]


class Record:
    """A version that was seen.

    :param version: the :class:`Version`, or None if the object is missing or
        is not to be cached
    :param token: the generation of the object before Swift was asked
    :param seen: monotonic time at which Swift was asked
    :param policy: index of the storage policy of its container
    """

    __slots__ = ('version', 'token', 'seen', 'policy', 'is_due')

    def __init__(self, version, token, seen, policy):
        self.version = version
        self.token = token
        self.seen = seen
        self.policy = policy
        #: whether it is to be renewed; once for each time it was seen
        self.is_due = False

    def renew(self, seen):
        """Note that Swift was asked again, and has the same version.

        :param seen: monotonic time before it was asked
        """
        self.seen = max(self.seen, seen)
        self.is_due = False

    @property
    def cost(self):
        """About how many bytes it takes."""
        if self.version is None:
            return _BESIDES
        return _BESIDES + sum(
            2 * len(name) + len(value) for name, value in self.version.headers)


class Records:
    """Records by object; what was not used for longest is forgotten.

    :param limit: bytes
    """

    def __init__(self, limit):
        self._limit = limit
        self._records = collections.OrderedDict()
        self.cost = 0

    def __len__(self):
        return len(self._records)

    def get(self, key):
        """The record of an object, or None."""
        record = self._records.get(key)
        if record is not None:
            self._records.move_to_end(key)
        return record

    def put(self, key, record):
        self.forget(key)
        self._records[key] = record
        self.cost += record.cost
        while self.cost > self._limit:
            self.forget(next(iter(self._records)))

    def forget(self, key):
        record = self._records.pop(key, None)
        if record is not None:
            self.cost -= record.cost

    def clear(self):
        """Forget all."""
        self._records.clear()
        self.cost = 0
