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

"""Fields of data that anybody may have sent.

Each function returns the value if it is what it should be, None if there is
none, and raises :class:`MalformedError` if it is of another kind.
"""

import re

MAX_TEXT = 256
_ADDRESS = re.compile(r'(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]')
# Not \d and not int(), which take the digits of every script.
_ID = re.compile('(?:0x)?([0-9a-f]{4})')
_CLASS = re.compile('(?:0x)?([0-9a-f]{6})')
_NUMBER = re.compile('[0-9]{1,9}')


class MalformedError(ValueError):
    """The data is not what it is said to be; the message says where."""


def entries(value, name, most):
    """A list of dicts.

    :param value: what was sent
    :param name: how to call it in an error
    :param most: how many there may be
    :returns: the list
    """
    if not isinstance(value, list):
        raise MalformedError(f'{name} is {_kind(value)} and not a list')
    if len(value) > most:
        raise MalformedError(
            f'{name} has {len(value)} entries, more than {most}')
    for i, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise MalformedError(
                f'{name}[{i}] is {_kind(entry)} and not a mapping')
    return value


def text(entry, field):
    """A short text."""
    value = entry.get(field)
    if value is not None and not isinstance(value, str):
        raise MalformedError(f'{field} is {_kind(value)} and not text')
    if value is not None and len(value) > MAX_TEXT:
        raise MalformedError(
            f'{field} has {len(value)} characters, more than {MAX_TEXT}')
    return value or None


def pci_id(entry, field):
    """A vendor or product id, as four digits in lower case."""
    return _matched(entry, field, _ID)


def class_code(entry, field):
    """A PCI class, as six digits in lower case."""
    return _matched(entry, field, _CLASS)


def address(entry, field):
    """A PCI address in the form of sysfs, always with a domain."""
    value = text(entry, field)
    if value is None:
        return None
    value = value.lower()
    if not _ADDRESS.fullmatch(value):
        raise MalformedError(f'{field} {value!r:.40} is not a PCI address')
    return value if value.count(':') == 2 else '0000:' + value


def number(entry, field, most):
    """A whole number from 0 to ``most``, as such or as text.

    -1 is the kernel's word for none.
    """
    value = entry.get(field)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value)
    if value is None or value in (-1, '-1', ''):
        return None
    if type(value) is not int or not 0 <= value <= most:
        raise MalformedError(
            f'{field} {value!r:.40} is not a number from 0 to {most}')
    return value


def _matched(entry, field, pattern):
    value = text(entry, field)
    if value is None:
        return None
    found = pattern.fullmatch(value.lower())
    if not found:
        raise MalformedError(f'{field} {value!r:.40} is not of the form '
                             f'{pattern.pattern}')
    return found[1]


def _kind(value):
    return 'nothing' if value is None else f'a {type(value).__name__}'
