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
"""Which requests the cache may answer."""

import functools
import time
import typing

from swift.common.constraints import valid_api_version
from swift.common.storage_policy import POLICIES
from swift.common.storage_policy import REPL_POLICY
from swift.common.utils import config_true_value
from swift.common.utils import split_path

from ai_factory_plugins.swift.cache import blocks

# With these, the answer depends on more than the object and the range.
_BYPASSING = (
    'HTTP_IF_RANGE', 'HTTP_X_NEWEST', 'HTTP_ORIGIN', 'HTTP_X_OPEN_EXPIRED')
_TIMESTAMP = 'HTTP_X_TIMESTAMP'
_RECENT = 60  # seconds
_BACKEND = 'HTTP_X_BACKEND_'
_IGNORE_RANGE = _BACKEND + 'IGNORE_RANGE_IF_METADATA_PRESENT'
_RESERVED = _BACKEND + 'ALLOW_RESERVED_NAMES'
_POLICY = _BACKEND + 'STORAGE_POLICY_INDEX'
# ETAG_IS_AT matters for conditions, see there; the policy is compared later.
_KNOWN = frozenset((
    _IGNORE_RANGE, _RESERVED, _POLICY, _BACKEND + 'ETAG_IS_AT'))
# Metadata with which slo, dlo and symlink want an object as a whole. Others,
# which Swift may not answer with, could not be told from absent ones.
_WHOLE = frozenset((
    'x-static-large-object', 'x-object-manifest',
    'x-object-sysmeta-symlink-target'))


class Wanted(typing.NamedTuple):
    """What a request wants.

    :param range: (first, last) as :func:`~blocks.parse` returns it, or None
    :param whole_with: names of metadata, in lower case; an object that has one
        of them is wanted as a whole
    """

    range: tuple | None
    whole_with: frozenset

    def of(self, version):
        """The range that it wants of a version."""
        if self.range is None or self.whole_with.isdisjoint(version.names):
            return self.range
        return None


def object_key(env):
    """(account, container, object) of a request, as WSGI has them.

    :returns: None if the path is not that of an object
    """
    try:
        version, *key = split_path(env['PATH_INFO'], 4, 4, True)
    except ValueError:
        return None
    return tuple(key) if valid_api_version(version) else None


def wanted(env, key):
    """What a GET wants.

    :returns: a :class:`Wanted`, or None where only Swift can answer
    """
    for name in _BYPASSING:
        if name in env:
            return None
    for name in env:
        if name.startswith(_BACKEND) and name not in _KNOWN:
            return None
    if _TIMESTAMP in env and not _is_recent(env[_TIMESTAMP]):
        return None
    reserved = config_true_value(env.get(_RESERVED, 'false'))
    if not reserved and (_RESERVED in env or any(
            '\0' in part for part in key)):
        return None
    whole_with = _names(env.get(_IGNORE_RANGE, ''))
    if not whole_with <= _WHOLE:
        return None
    found = None
    if 'HTTP_RANGE' in env:
        found = blocks.parse(env['HTTP_RANGE'])
        if found is None:
            return None
    return Wanted(found, whole_with)


def _is_recent(timestamp):
    """Whether a request is of now.

    Proxy-server notes the time in a request, which symlink repeats; clients
    cannot give one, as gatekeeper takes it away.
    """
    try:
        return 0 <= time.time() - float(timestamp) < _RECENT
    except ValueError:
        return False


@functools.lru_cache(64)
def _names(header):
    """The names in a header that is a list."""
    return frozenset(filter(None, (
        name.strip().lower() for name in header.split(','))))


def agrees_on_policy(env, info):
    """Whether a request is for the storage policy that its container has."""
    index = env.get(_POLICY)
    return index is None or index == str(info['storage_policy'])


def note_policy(env, info):
    """Tell the filters to the left the policy, as proxy-server does."""
    env[_POLICY] = str(info['storage_policy'])


def has_replicas(info):
    """Whether the objects of a container are stored as they are."""
    policy = POLICIES.get_by_index(info['storage_policy'])
    return policy is not None and policy.policy_type == REPL_POLICY
