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

"""Swift's own functional tests, with our filters and without.

``python -m tests.swift_suite [PYTEST ARGUMENTS]`` ends with 0 if none of the
tests that pass on a stock proxy fails on one with ``batch_read_s3``,
``batch_read`` and ``block_cache``. Those of S3 are run twice: where S3 has
ACLs of objects, and where it has not and is cached. The logs and reports stay
in ``.cloud-swift-suite``.
"""

import argparse
import collections
import pathlib
import signal
import sys
import tempfile
import time

from cloud.services import swift as swift_module
from tests.swift import statsd as statsd_module
from tests.swift_suite import suite

STATE = pathlib.Path(__file__).parents[2] / '.cloud-swift-suite'
# That the cache has taken part.
SHOWN = ('hits', 'partial', 'misses', 'bypassed', 'invalidations')


def main():
    parser = argparse.ArgumentParser(prog='python -m tests.swift_suite')
    parser.add_argument('--base-port', type=int, default=23100)
    options, wanted = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    STATE.mkdir(exist_ok=True)
    statsd = statsd_module.Statsd()
    swift = swift_module.Swift(
        STATE / 'swift', options.base_port, suite.settings(
            STATE / 'swift' / 'blocks', statsd.options()))
    swift.destroy()
    with tempfile.TemporaryDirectory() as directory:
        sources = suite.unpack(directory)
        try:
            swift.up()
            return max([
                compare(swift, statsd, sources, pair, wanted or pair.tests)
                for pair in suite.PAIRS])
        finally:
            swift.destroy()
            statsd.close()


def compare(swift, statsd, sources, pair, wanted):
    """Run the tests on both proxies.

    :returns: 0, or 1 if our filters have broken any
    """
    stock = run(swift, sources, pair, pair.stock, wanted)
    before = statsd.counts()
    ours = run(swift, sources, pair, pair.ours, wanted)
    counts = statsd.counts()
    print('  block cache: ' + ', '.join(
        f'{counts[name] - before[name]} {name.rpartition(".")[2]}'
        for name in (f'block-cache.{name}' for name in SHOWN)), flush=True)
    found = suite.differences(stock, ours)
    if found:
        show('other outcomes', found)
        # Some of the tests fail now and then.
        again = suite.arguments(found)
        found = suite.differences(
            run(swift, sources, pair, pair.stock, again, '-again'),
            run(swift, sources, pair, pair.ours, again, '-again'))
        show('other outcomes still', found)
    broken = suite.regressions(found)
    if suite.PASSED not in stock.values():
        print('no test has passed')
        return 1
    print(f'{len(broken)} tests pass on stock and fail with the filters')
    return 1 if broken else 0


def run(swift, sources, pair, proxy, wanted, suffix=''):
    """Run the tests on a proxy, and say how it went."""
    began = time.monotonic()
    found = suite.run(
        sources, STATE, f'{proxy}{suffix}', swift.url(proxy), pair.s3_acl,
        wanted)
    counts = collections.Counter(found.values())
    print(f'{proxy}: ' + ', '.join(
        f'{counts[name]} {name}' for name in sorted(counts))
        + f' in {time.monotonic() - began:.0f} s', flush=True)
    return found


def show(title, found):
    print(f'{title}: {len(found)}')
    for name, (stock, ours) in found.items():
        print(f'  {name}: {stock} on stock, {ours} with the filters')


if __name__ == '__main__':
    sys.exit(main())
