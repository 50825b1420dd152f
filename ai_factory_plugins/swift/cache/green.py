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
"""What the cache needs of eventlet and of the pipeline it stands in."""

import eventlet
import eventlet.event

# Filters that change no bytes, and the application itself.
_PLAIN = frozenset((
    'swift.common.middleware.proxy_logging', 'swift.proxy.server',
    'swift.common.middleware.copy', 'swift.common.middleware.symlink',
    'swift.common.middleware.dlo', 'swift.common.middleware.slo',
    'swift.common.middleware.versioned_writes.legacy',
    'swift.common.middleware.versioned_writes.object_versioning',
    'swift.common.middleware.listing_formats'))


class Event:
    """Like :class:`threading.Event`, for green threads of one process."""

    def __init__(self):
        self._event = eventlet.event.Event()

    def set(self):
        self._event.send()

    def wait(self, timeout):
        """Wait for :meth:`set`.

        :param timeout: seconds
        :returns: whether it was called
        """
        if not self._event.ready():
            with eventlet.Timeout(timeout, False):
                self._event.wait()
        return self._event.ready()


def may_encrypt(app):
    """Whether an application may give plaintext of what is encrypted.

    :param app: what stands right of the cache
    :returns: False only if all filters down to proxy-server are known
    """
    while app is not None:
        if type(app).__module__ not in _PLAIN:
            return True
        if type(app).__module__ == 'swift.proxy.server':
            return False
        app = getattr(app, 'app', None)
    return True
