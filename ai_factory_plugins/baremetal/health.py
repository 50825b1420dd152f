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

"""What is wrong with the GPUs of a machine.

A GPU that fell off the bus is missing from the list, and says nothing. It is
told by what the machine had before, by what its siblings have, or by what the
operator says that it should have.
"""

import collections
import dataclasses

#: Fewer siblings than this prove nothing.
MIN_SIBLINGS = 3


@dataclasses.dataclass(frozen=True)
class Record:
    """What is kept of a machine until it is inspected again.

    :param count: the most GPUs seen since its models last changed
    :param kinds: what kinds of GPUs it had, sorted
    :param width: the most PCIe lanes seen on a GPU of it, or None
    """

    count: int = 0
    kinds: tuple = ()
    width: int | None = None

    def to_dict(self):
        """A dict of it that JSON can hold."""
        return {'count': self.count, 'kinds': list(self.kinds),
                'width': self.width}

    @classmethod
    def from_dict(cls, value):
        """Read what :meth:`to_dict` wrote; anything else is an empty one."""
        value = value if isinstance(value, dict) else {}
        count, kinds = value.get('count'), value.get('kinds')
        width = value.get('width')
        if type(count) is not int or not isinstance(kinds, list) or not all(
                isinstance(kind, str) for kind in kinds):
            return cls()
        return cls(count, tuple(kinds), width if type(width) is int else None)


def record(machine, last):
    """What to keep of a machine.

    Where the GPUs were replaced by others, it begins anew.

    :param machine: a :class:`~ai_factory_plugins.baremetal.machine.Machine`
    :param last: the :class:`Record` of the inspection before
    :returns: a :class:`Record`
    """
    last = _comparable(machine, last)
    widths = [gpu.link_width for gpu in machine.gpus if gpu.link_width]
    return Record(
        count=max(len(machine.gpus), last.count),
        kinds=tuple(sorted(_kinds(machine))) or last.kinds,
        width=max([*widths, last.width or 0]) or None)


def problems(machine, last, siblings=(), declared=None):
    """What is wrong, a sentence each.

    :param machine: a :class:`~ai_factory_plugins.baremetal.machine.Machine`
    :param last: the :class:`Record` of the inspection before
    :param siblings: numbers of GPUs of the machines that are meant to be
        like it
    :param declared: how many GPUs the operator says it has, or None; it goes
        before what was and what others have
    :returns: list of sentences; empty if nothing is wrong
    """
    last = _comparable(machine, last)
    return [*_missing(machine, last, siblings, declared),
            *_narrow(machine, last), *_unlinked(machine)]


def _comparable(machine, last):
    """The record, or an empty one if the GPUs are others now."""
    if machine.gpus and not _kinds(machine).intersection(last.kinds):
        return Record()
    return last


def _kinds(machine):
    """By ids where they are known: names are not told each time."""
    return {f'{gpu.vendor_id}:{gpu.product_id}' if gpu.vendor_id else gpu.kind
            for gpu in machine.gpus}


def _missing(machine, last, siblings, declared):
    count = len(machine.gpus)
    if declared is not None:
        expected, why = declared, 'the operator declared'
    elif last.count > count:
        expected, why = last.count, 'it had before'
    else:
        expected, why = _usual(siblings), 'its siblings have'
    if count < expected:
        yield f'{count} GPUs where {why} {expected}'


def _usual(siblings):
    """What more than half of the siblings have, or 0."""
    siblings = list(siblings)
    if len(siblings) < MIN_SIBLINGS:
        return 0
    count, times = collections.Counter(siblings).most_common(1)[0]
    return count if 2 * times > len(siblings) else 0


def _narrow(machine, last):
    """GPUs with fewer lanes than others of the machine, or than before.

    The speed of a link says nothing: an idle GPU lowers it.
    """
    widths = [gpu.link_width for gpu in machine.gpus if gpu.link_width]
    if machine.mixed or not widths:
        return
    most = max([*widths, last.width or 0])
    for gpu in machine.gpus:
        if gpu.link_width is not None and gpu.link_width < most:
            yield (f'GPU {gpu.label} has {gpu.link_width} PCIe lanes '
                   f'of {most}')


def _unlinked(machine):
    """GPUs with fewer NVLinks than others of the machine."""
    most = max((gpu.nvlinks or 0 for gpu in machine.gpus), default=0)
    if machine.mixed:
        return
    for gpu in machine.gpus:
        if gpu.nvlinks is not None and gpu.nvlinks < most:
            yield (f'GPU {gpu.label} has {gpu.nvlinks} NVLinks of {most}')
