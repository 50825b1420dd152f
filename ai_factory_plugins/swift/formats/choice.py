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

"""Which form an answer gets."""

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.dataset import frames
from ai_factory_plugins.swift.formats import archive
from ai_factory_plugins.swift.formats import framed
from ai_factory_plugins.swift.formats import multipart

PARAMETER = 'format'  #: of the query, as of Swift's listings
# The first is for clients that do not mind.
_FORMS = {
    'frames': (frames.CONTENT_TYPE, framed.Frames),
    'tar': ('application/x-tar', archive.Tar),
    'multipart': ('multipart/mixed', multipart.Multipart),
    'byteranges': ('multipart/byteranges', multipart.ByteRanges),
}
NAMES = tuple(_FORMS)


def choose(req):
    """The form that a request wants: what its query says, or its ``Accept``.

    :param req: a request, as swob has it
    :returns: a class, see :mod:`ai_factory_plugins.swift.formats`
    :raises RequestError: there is no such form
    """
    name = req.params.get(PARAMETER)
    if name is not None:
        if name not in _FORMS:
            raise entries.RequestError(400, 'unknown format')
        return _FORMS[name][1]
    try:
        found = req.accept.best_match([kind for kind, _ in _FORMS.values()])
    except ValueError:
        raise entries.RequestError(400, 'malformed Accept')
    for kind, form in _FORMS.values():
        if kind == found:
            return form
    raise entries.RequestError(406, 'the answer has none of these types')
