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

"""The forms in which a batch is answered.

Each form is a class, whose instances each write one answer. They are told what
there is, entry by entry, by an
:class:`~ai_factory_plugins.swift.answer.Answer`, and return what is to be
sent, as lists of bytes:

``refused(entry, status, meta)``
    Nothing of the entry is read; ``meta['reason']`` says why.
``begun(entry, status, meta, data, text)``
    The first data of an entry, or none yet. ``meta`` has ``etag``, ``size``
    and ``parts``, and ``text`` is its JSON text where it has come as such.
``more(entry, status, data)``
    More data of the same entry.
``aborted(entry, status, reason)``
    No more data of the entry can be read, and what has been sent is void.
``ended(entries, size)``
    All entries have been told.

Where a form has no way to say the last but one, it raises :class:`Cut`. A form
with ``with_headers`` is told the headers of the object as well, as
``meta['headers']``.
"""


class Cut(Exception):
    """The answer has to end here, so that nobody takes it for whole."""
