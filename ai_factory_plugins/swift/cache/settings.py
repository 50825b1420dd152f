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
"""Options of the filter block_cache."""

import os
import typing

from ai_factory_plugins.swift import options


class Choice(typing.NamedTuple):
    """One of some words.

    :param default: its value where the operator gives none
    :param words: all that are accepted
    """

    default: str
    words: tuple

    def read(self, name, text):
        if text not in self.words:
            raise ValueError(
                f'{name} = {text}: not one of {", ".join(self.words)}')
        return text


class Directory(typing.NamedTuple):
    """An absolute path, or nothing."""

    default: str = ''

    def read(self, name, text):
        if text and not os.path.isabs(text):
            raise ValueError(f'{name} = {text}: not an absolute path')
        return text


BYPASS, MAX_AGE = 'bypass', 'max_age'
KNOWN = {
    'block_size': options.Number(
        256 * options.KIB, 4 * options.KIB, 16 * options.MIB),
    'ram_bytes': options.Number(256 * options.MIB, options.MIB, 2 ** 42),
    'disk_path': Directory(),
    'disk_bytes': options.Number(0, 0, 2 ** 50),
    'max_read': options.Number(8 * options.MIB, 4 * options.KIB, 2 ** 30),
    'max_pending': options.Number(256 * options.MIB, options.MIB, 2 ** 42),
    'max_age': options.Number(10, 0, 86400),
    'without_memcached': Choice(BYPASS, (BYPASS, MAX_AGE)),
    'readahead': options.Number(options.MIB, 0, 2 ** 30),
    'patience': options.Number(60, 1, 3600),
    'debug_header': options.Flag(False),
}
# Of ram_bytes, for what is known of objects.
RECORDS = 1 / 16


def read(conf):
    """The options of a filter section.

    :param conf: dict of name to text
    :returns: dict of name to value
    :raises ValueError: a value is malformed, out of bounds, or contradicts
        another; the server does not start
    """
    values = options.read(KNOWN, conf)
    for low, high in (('block_size', 'max_read'), ('max_read', 'max_pending'),
                      ('readahead', 'max_pending')):
        if values[low] > values[high]:
            raise ValueError(f'{low} is more than {high}')
    for name in ('block_size', 'readahead'):
        # New blocks have a tenth of the RAM, and would drive each other out.
        if values[name] > values['ram_bytes'] // 16:
            raise ValueError(f'{name} is more than a 16th of ram_bytes')
    if bool(values['disk_path']) != bool(values['disk_bytes']):
        raise ValueError('disk_path and disk_bytes go together')
    if values['disk_bytes'] and values['disk_bytes'] < options.MIB:
        raise ValueError('disk_bytes is less than a MiB')
    return values
