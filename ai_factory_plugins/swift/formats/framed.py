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

"""Frames, see :mod:`ai_factory_plugins.dataset.frames`."""

from ai_factory_plugins.dataset import frames


class Frames:
    """Writes an answer as frames, which can tell all there is to tell."""

    content_type = frames.CONTENT_TYPE
    with_headers = False

    def __init__(self, container=None):
        """Nothing of a frame depends on what the request is sent to."""

    def refused(self, entry, status, meta):
        return frames.encode(frames.ENTRY, status, entry.index, meta)

    def begun(self, entry, status, meta, data=b'', text=None):
        return frames.encode(
            frames.ENTRY, status, entry.index, text or meta, data)

    def more(self, entry, status, data):
        if len(data) <= frames.MAX_DATA:
            return frames.encode(frames.DATA, status, entry.index, None, data)
        return [piece for frame in frames.pieces(
            frames.DATA, status, entry.index, None, data) for piece in frame]

    def aborted(self, entry, status, reason):
        return frames.encode(
            frames.ABORT, status, entry.index, {'reason': reason})

    def ended(self, entries, size):
        return frames.encode(
            frames.END, 200, entries, {'entries': entries, 'bytes': size})
