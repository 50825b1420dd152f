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
"""What objects there are: asked of Swift, and believed for a while."""

import time

from ai_factory_plugins.swift.cache import backend
from ai_factory_plugins.swift.cache import blocks
from ai_factory_plugins.swift.cache import flights
from ai_factory_plugins.swift.cache import generations
from ai_factory_plugins.swift.cache import renewals
from ai_factory_plugins.swift.cache import settings
from ai_factory_plugins.swift.cache import versions

_ATTEMPTS = 3
# What a record has for a token while memcached is away: never equal to one.
_NONE = ''


class Objects:
    """Knows the versions of objects.

    :param app: the application right of this middleware
    :param conf: dict of options
    :param store: the :class:`~store.Store` of the blocks
    :param make_event: see :class:`~flights.Flights`
    :param same: tells which records still hold, see
        :meth:`~checks.Checks.same`
    :param spawn: runs a function beside others
    :param sleep: lets others run for some seconds
    :param logger: a logger of Swift's
    :param look_first: whether to ask for the version alone, since its blocks
        may be on disk
    """

    def __init__(self, app, conf, store, make_event, same, spawn, sleep,
                 logger, look_first):
        self._app = app
        self._conf = conf
        self._store = store
        self._logger = logger
        self._look_first = look_first
        self._records = versions.Records(
            int(conf['ram_bytes'] * settings.RECORDS))
        self._asking = flights.Flights(make_event)
        self._same = same
        self._renewals = renewals.Renewals(
            same, conf['max_age'], spawn, sleep, logger)

    def find(self, env, key, wanted, policy):
        """The version of an object that a request gets.

        :param env: WSGI environment of the request
        :param key: (account, container, object)
        :param wanted: a :class:`~door.Wanted`
        :param policy: index of the container's storage policy
        :returns: (:class:`~versions.Version`, whether blocks were read). The
            version is None if only Swift can answer.
        """
        for _ in range(_ATTEMPTS):
            try:
                token = generations.get(env, key)
            except generations.Unavailable as exc:
                token = self._without(exc)
                if token is None:
                    return None, False
            record = self._records.get(key)
            if record is not None and self._holds(record, token):
                return record.version, False
            leads, flight = self._asking.join(key)
            if leads:
                return self._ask(env, key, wanted, policy, token, flight)
            # Whether it holds for this request as well, which may have come
            # after a write, its token tells.
            flight.wait(self._conf['patience'])
        return None, False

    def _without(self, exc):
        """What stands for a token where there is none to be had."""
        if self._conf['without_memcached'] == settings.MAX_AGE:
            return _NONE
        self._logger.increment('unavailable')
        self._logger.debug('Nothing is served from the cache: %s', exc)
        self._records.clear()
        return None

    def _holds(self, record, token):
        """Whether what is known may be believed."""
        if record.token != token:
            return False
        age = time.monotonic() - record.seen
        if age >= self._conf['max_age'] or _is_expired(record.version):
            return False
        if record.version is not None:
            self._renewals.note(record, age)
        return True

    def _ask(self, env, key, wanted, policy, token, flight):
        """Ask Swift; others wait for it."""
        try:
            seen, old = time.monotonic(), self._records.get(key)
            if token is None:
                token = generations.get_or_set(env, key)
            version = None if old is None else old.version
            if version is not None and self._is_same(env, old, token):
                answer = backend.Answer(version)
            else:
                answer = self._answer(
                    env, key, wanted, version, max(
                        generations.written_at(token),
                        '' if version is None else version.changed))
            numbers = led = None
            if answer.extent is not None:
                numbers = blocks.numbers(
                    answer.extent, self._conf['block_size'])
                led = self._store.lead(answer.version, numbers)
        except (backend.NotReadable, generations.Unavailable) as exc:
            self._logger.debug('Not cached: %s: %s', key, exc)
            if isinstance(exc, generations.Unavailable):
                self._asking.fail(key, exc)
            else:
                # For a while, nobody asks twice.
                self._keep(key, versions.Record(None, token, seen, policy),
                           flight)
            return None, False
        except BaseException as exc:
            self._asking.fail(key, exc)
            raise
        # Others find the blocks on their way now.
        self._keep(key, versions.Record(answer.version, token, seen, policy),
                   flight)
        if numbers:
            self._store.fill(answer.version, led, numbers, answer)
        return answer.version, bool(numbers)

    def _is_same(self, env, record, token):
        """Whether it is certain, at little cost, that nothing has changed."""
        if record.version.changed < generations.written_at(token):
            return False
        if not self._same([record], env.get('swift.trans_id')):
            return False
        self._logger.increment('confirmed')
        return True

    def _answer(self, env, key, wanted, known, not_before):
        """What Swift says.

        :param known: the version that was there, or None
        :param not_before: when the object has changed at the latest
        :returns: a :class:`~backend.Answer`
        :raises NotReadable: see :mod:`backend`; or replicas do not agree
        """
        guess = None
        if not self._look_first and known is None:
            guess = blocks.guess(wanted.range, self._conf['block_size'],
                                 self._conf['max_read'])
        answer = None
        if guess is not None:
            self._logger.increment('fills')
            try:
                answer = backend.read(env, self._app, key, guess)
            except backend.BeyondTheEnd:
                # So are most ranges of a large object, seen from its manifest,
                # which is wanted as a whole.
                pass
        if answer is None:
            self._logger.increment('revalidations')
            answer = backend.look(env, self._app, key)
        if answer.version.changed < not_before:
            # A replica that has missed a write. Swift may read from it, but
            # what is kept would be read again.
            answer.close()
            self._logger.increment('stale_replicas')
            answer = backend.look(env, self._app, key, newest=True)
            if answer.version.changed < not_before:
                raise backend.NotReadable('an older version than is known')
        return answer

    def _keep(self, key, record, flight):
        if not flight.is_overtaken:
            self._records.put(key, record)
        self._asking.land(key, record)

    def written(self, env, key, is_done, has_new_bytes):
        """Note that an object was written, here and everywhere.

        :param is_done: whether that has succeeded
        :param has_new_bytes: whether the version has changed as well
        """
        self._logger.increment('invalidations')
        if has_new_bytes:
            self.forget(key)
        try:
            generations.written(env, key, is_done)
        except generations.Unavailable as exc:
            self._logger.warning(
                'Other proxies are not told of a write, and may serve what '
                'was there for %s seconds: %s', self._conf['max_age'], exc)
            self.forget(key)

    def forget(self, key):
        """Ask anew the next time, and believe nothing that is asked now."""
        self._records.forget(key)
        self._asking.overtake(key)


def _is_expired(version):
    # As the object server has it.
    return (version is not None and version.expires is not None
            and version.expires <= time.time())
