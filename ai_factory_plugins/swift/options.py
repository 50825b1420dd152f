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

"""Options of the middleware: read and bounded when the server starts."""

import typing

from swift.common.utils import config_true_value

KIB = 1024
MIB = 1024 * KIB


class Number(typing.NamedTuple):
    """A whole number.

    :param default: its value where the operator gives none
    :param low: the least that is accepted
    :param high: the most that is accepted
    """

    default: int
    low: int
    high: int

    def read(self, name, text):
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f'{name} = {text}: not a whole number')
        if not self.low <= value <= self.high:
            raise ValueError(
                f'{name} = {value}: not from {self.low} to {self.high}')
        return value


class Flag(typing.NamedTuple):
    """Yes or no.

    :param default: its value where the operator gives none
    """

    default: bool

    def read(self, name, text):
        return config_true_value(text)


def read(known, conf):
    """The options of a filter section.

    :param known: dict of name to :class:`Number` or :class:`Flag`
    :param conf: dict of name to text
    :returns: dict of name to value
    :raises ValueError: a value is malformed or out of bounds; the server does
        not start
    """
    return {name: option.read(name, conf[name]) if name in conf
            else option.default for name, option in known.items()}
