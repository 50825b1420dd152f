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

"""What was measured: as tables for people, as JSON and as CSV."""

import csv
import importlib.metadata
import json
import os
import platform
import statistics
import time
import typing

from benchmarks.swift import ways

# From these on, a mark stands behind a line.
_BUSY, _OTHERS, _WARM = 0.9, 0.3, 0.02
MARKS = f"""\
c: the clients may have been the limit: one was on a CPU for more than
   {_BUSY:.0%} of its time, or together they took more CPU than the servers
o: more than {_OTHERS} cores were busy with other work
w: more than {_WARM:.0%} of the files were in the page cache although cold"""


class Sample(typing.NamedTuple):
    """One measurement; times in milliseconds, CPU in milliseconds an item.

    :param clients_busy: the largest share of its time that a client was on a
        CPU
    :param other_cores: cores that were busy with none of this
    :param warm: share of the files that were in the page cache although cold,
        or None where that is not known
    :param error: why there are no figures, or None
    """

    cell: ways.Cell
    way: ways.Way
    round: int
    items: int = 0
    requests: int = 0
    seconds: float = 0
    items_per_second: float = 0
    mb_per_second: float = 0
    p50: float = 0
    p99: float = 0
    cpu: float = 0
    cpu_front: float = 0
    cpu_back: float = 0
    cpu_clients: float = 0
    clients_busy: float = 0
    other_cores: float = 0
    warm: float | None = 0
    error: str | None = None

    @classmethod
    def of(cls, cell, way, number, found, warm):
        """What clients have done.

        :param found: :class:`~benchmarks.swift.loads.Outcome`
        """
        def each(seconds):
            return seconds * 1000 / found.items

        rate = found.items / found.seconds
        return cls(
            cell, way, number, items=found.items,
            requests=len(found.latencies), seconds=found.seconds,
            items_per_second=rate, mb_per_second=rate * cell.size / 1e6,
            p50=_percentile(found.latencies, 0.5) * 1000,
            p99=_percentile(found.latencies, 0.99) * 1000,
            cpu=each(sum(found.servers.values())),
            cpu_front=each(found.servers.get('front', 0)),
            cpu_back=each(found.servers.get('back', 0)),
            cpu_clients=each(found.generators), clients_busy=found.busiest,
            other_cores=found.others, warm=warm)

    def flat(self):
        """A dict of names to plain values."""
        found = self._asdict()
        del found['cell'], found['way']
        return {**self.cell._asdict(), 'way': self.way.name,
                'items_per_request': max(self.way.batch_of(self.cell.size), 1),
                **found}


def _percentile(ascending, share):
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)]


class Line(typing.NamedTuple):
    """One way in one cell: medians of all rounds.

    :param figures: dict of fields of :class:`Sample`
    :param faster: items a second, as a multiple of those of its base, or None
    :param cheaper: CPU of the base as a multiple of its own, or None
    :param error: why there are no figures, or None
    """

    way: ways.Way
    figures: dict
    faster: float | None
    cheaper: float | None
    error: str | None

    @property
    def marks(self):
        some = self.figures
        return ''.join(mark for mark, is_so in (
            ('c', some['clients_busy'] > _BUSY
                or some['cpu_clients'] > some['cpu']),
            ('o', some['other_cores'] > _OTHERS),
            ('w', (some['warm'] or 0) > _WARM)) if is_so)


_MEDIANS = ('items_per_second', 'mb_per_second', 'p50', 'p99', 'cpu',
            'cpu_front', 'cpu_back', 'cpu_clients', 'clients_busy',
            'other_cores', 'warm')


def lines(samples):
    """The lines of a cell's table.

    :param samples: of one cell
    """
    found = {}
    for sample in samples:
        found.setdefault(sample.way, []).append(sample)
    figures = {}
    for way, some in found.items():
        some = [sample for sample in some if sample.error is None]
        if some:
            figures[way.name] = {
                name: _median([getattr(sample, name) for sample in some])
                for name in _MEDIANS}
    result = []
    for way, some in found.items():
        mine, base = figures.get(way.name), figures.get(way.base)
        is_compared = mine is not None and base is not None
        result.append(Line(
            way, mine, _ratio(mine['items_per_second'],
                              base['items_per_second'])
            if is_compared else None,
            _ratio(base['cpu'], mine['cpu']) if is_compared else None,
            some[-1].error if mine is None else None))
    return result


def _median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def _ratio(one, other):
    return one / other if other else None


HEAD = (f'{"":15}{"items/s":>9}{"MB/s":>7}{"p50 ms":>8}{"p99 ms":>8}'
        f'{"CPU ms":>9}{"front":>8}{"back":>8}{"clients":>9}'
        f'{"rate":>7}{"CPU":>7}')


def table(cell, samples):
    """The table of a cell, as text."""
    rows = [str(cell), HEAD]
    for line in lines(samples):
        if line.error is not None:
            rows.append(f'  {line.way.name:13} {line.error.splitlines()[0]}')
            continue
        some = line.figures
        rows.append(
            f'  {line.way.name:13}{some["items_per_second"]:9.0f}'
            f'{some["mb_per_second"]:7.0f}{some["p50"]:8.1f}{some["p99"]:8.1f}'
            f'{some["cpu"]:9.3f}{some["cpu_front"]:8.3f}'
            f'{some["cpu_back"]:8.3f}{some["cpu_clients"]:9.3f}'
            f'{_times(line.faster)}{_times(line.cheaper)}  {line.marks}')
    return '\n'.join(row.rstrip() for row in rows)


def _times(ratio):
    return f'{"-" if ratio is None else f"{ratio:.1f}x":>7}'


def machine():
    """What the figures depend on besides."""
    return {
        'cores': len(os.sched_getaffinity(0)), 'arch': platform.machine(),
        'system': platform.system(), 'python': platform.python_version(),
        'swift': importlib.metadata.version('swift')}


def save(path, options, samples):
    """Write all samples to a file, as JSON or as CSV.

    :param path: ends with ``.json`` or ``.csv``
    :param options: dict of what was chosen
    """
    rows = [sample.flat() for sample in samples]
    if path.suffix == '.csv':
        with open(path, 'w', newline='') as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return
    cells = {}
    for sample in samples:
        cells.setdefault(sample.cell, []).append(sample)
    path.write_text(json.dumps({
        'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
        'machine': machine(), 'options': options, 'samples': rows,
        'ratios': [{**cell._asdict(), 'way': line.way.name,
                    'to': line.way.base, 'rate': line.faster,
                    'cpu': line.cheaper}
                   for cell, some in cells.items() for line in lines(some)],
    }, indent=1) + '\n')


UNITS = f"""\
An item is a range of an object. Times are of requests; a batch is one of many
items, of {ways.size_name(ways.BATCH_BYTES)} at most. CPU is that of all \
servers for an item: of the proxy
(front), the object servers (back), account and container server and memcached;
that of the clients is told besides. Ratios are to stock Swift with the same
API, nginx to native: rate is how many times as many items came, CPU how many
times less an item took."""
