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

"""The clients of the benchmark of Swift, and what is said of them."""

import csv
import http.server
import json
import os
import pathlib
import tempfile
import threading
import unittest

from ai_factory_plugins.dataset import frames
from benchmarks.swift import __main__ as command
from benchmarks.swift import layouts
from benchmarks.swift import loads
from benchmarks.swift import report
from benchmarks.swift import usage
from benchmarks.swift import ways

ITEM = layouts.PAGE
LAYOUT = layouts.Layout('many', ('a', 'b'), 4 * ITEM)
STOCK, BATCH = ways.ALL[0], ways.ALL[2]


class Handler(http.server.BaseHTTPRequestHandler):
    """Objects and their ranges; /wrong/NAME has other bytes than NAME."""

    protocol_version = 'HTTP/1.1'
    seen = None

    def do_GET(self):
        name = self.path.rpartition('/')[2]
        first, last = map(int, self.headers['Range'][6:].split('-'))
        self.seen.append((name, first))
        if self.path.startswith('/none'):
            self.send_error(404)
            return
        data = layouts.body(
            'c' if self.path.startswith('/wrong') else name, LAYOUT.size)
        self.send_response(206)
        self.send_header('Content-Length', str(last - first + 1))
        self.end_headers()
        self.wfile.write(data[first:last + 1])

    def do_POST(self):
        """A batch; /late/ leaves out the first entry, /more/ adds one."""
        lines = self.rfile.read(int(self.headers['Content-Length']))
        answer, number = b'', -1
        for number, line in enumerate(lines.splitlines()):
            item = json.loads(line)
            (first, last), = item['ranges']
            self.seen.append((item['object'], first))
            if number or not self.path.startswith('/late'):
                answer += b''.join(frames.encode(
                    frames.ENTRY, 206, number, {}, layouts.body(
                        item['object'], LAYOUT.size)[first:last + 1]))
        if self.path.startswith('/more'):
            answer += b''.join(frames.encode(
                frames.ENTRY, 206, number + 1, {}, b'x'))
        answer += b''.join(frames.encode(frames.END, 200, number + 1))
        self.send_response(404 if self.path.startswith('/none') else 200)
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class LoadsTest(unittest.TestCase):

    def setUp(self):
        self.seen = []
        server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), type('Mine', (Handler,), {'seen': self.seen}))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.port = server.server_address[1]

    def run_job(self, where='', once=True, clients=3, seconds=10, batch=0):
        names = [None] if batch else LAYOUT.names
        target = loads.Target(self.port, {
            name: f'{where}/{name}' for name in names}, {})
        return loads.run(loads.Job(
            target, LAYOUT, ITEM, batch, clients, 0, seconds, once), {
                'front': [os.getpgid(0)]})

    def test_each_item_once(self):
        found = self.run_job()
        self.assertEqual(8, found.items)
        self.assertEqual(8, len(found.latencies))
        self.assertEqual(sorted(found.latencies), list(found.latencies))
        self.assertEqual(sorted(LAYOUT.items(ITEM)), sorted(self.seen))
        self.assertGreater(found.servers['front'], 0)
        self.assertGreater(found.generators, 0)
        self.assertLessEqual(found.busiest, 1.1)

    def test_batches(self):
        found = self.run_job(batch=3, clients=2)
        self.assertEqual(8, found.items)
        self.assertEqual(4, len(found.latencies))  # 3 and 1 of each client.
        self.assertEqual(sorted(LAYOUT.items(ITEM)), sorted(self.seen))

    def test_wrong_batches(self):
        for where, reason in (
                ('/late', 'Frame'), ('/more', 'more than'), ('/none', '404')):
            with self.assertRaisesRegex(loads.LoadError, reason):
                self.run_job(where, batch=2)

    def test_more_clients_than_items(self):
        self.assertEqual(8, self.run_job(clients=12).items)

    def test_until_the_time_is_up(self):
        found = self.run_job(once=False, clients=1, seconds=0.2)
        self.assertGreater(found.seconds, 0.2)
        self.assertLess(found.seconds, 5)
        # One beforehand does not count.
        self.assertEqual(len(self.seen), found.items + 1)

    def test_other_bytes(self):
        for once in (True, False):
            with self.assertRaisesRegex(loads.LoadError, 'other bytes'):
                self.run_job('/wrong', once)

    def test_refused(self):
        with self.assertRaisesRegex(loads.LoadError, '404'):
            self.run_job('/none')

    def test_nobody_listens(self):
        self.port = 1
        with self.assertRaisesRegex(loads.LoadError, 'Refused'):
            self.run_job()


class LayoutsTest(unittest.TestCase):

    def test_each_page_has_its_stamp(self):
        body = layouts.body('x', 3 * layouts.PAGE)
        self.assertEqual(3 * layouts.PAGE, len(body))
        stamps = {body[first:first + layouts.STAMP]
                  for first in range(0, len(body), layouts.PAGE)}
        self.assertEqual({layouts.stamp('x', n * layouts.PAGE)
                          for n in range(3)}, stamps)
        self.assertNotEqual(layouts.stamp('x', 0), layouts.stamp('y', 0))

    def test_many(self):
        for item, size, count in ((4096, 1, 16), (layouts.MIB, 1, 16),
                                  (8 * layouts.MIB, 8, 2)):
            found = layouts.layout('many', item, 16)
            self.assertEqual(size * layouts.MIB, found.size)
            self.assertEqual(count, len(found.names))

    def test_segments_are_as_large_as_s3_wants_them(self):
        found = layouts.layout('slo', 4096, 16)
        self.assertGreaterEqual(found.segment, 5 * layouts.MIB)
        self.assertIsNone(layouts.layout('one', 4096, 16).segment)


class CellsTest(unittest.TestCase):

    def test_star(self):
        cells = ways.star()
        self.assertEqual(len(cells), len(set(cells)))
        self.assertEqual(ways.CENTRE, cells[0])
        for cell in cells:
            self.assertLessEqual(sum(
                one != other for one, other in zip(cell, ways.CENTRE)), 1)

    def test_product(self):
        cells = ways.product({'size': [4096, 8192], 'cache': ['hot', 'cold']})
        self.assertEqual(4, len(set(cells)))
        self.assertEqual({8}, {cell.clients for cell in cells})

    def test_sizes(self):
        for text, size in (('4K', 4096), ('1M', layouts.MIB)):
            self.assertEqual(size, ways.parse_size(text))
            self.assertEqual(text, ways.size_name(size))
        for text in ('', 'K', '5', '3K', '16M', '-4K', 'x'):
            with self.assertRaises(ValueError, msg=text):
                ways.parse_size(text)

    def test_batches_are_bounded(self):
        self.assertEqual(32, BATCH.batch_of(65536))
        self.assertEqual(4, BATCH.batch_of(8 * layouts.MIB))
        self.assertEqual(0, STOCK.batch_of(65536))


class ReportTest(unittest.TestCase):

    def samples(self):
        def sample(way, number, rate, cpu, **other):
            return report.Sample(ways.CENTRE, way, number, 10, 10, 1, rate,
                                 cpu=cpu, **other)
        return [
            sample(STOCK, 0, 100, 2), sample(STOCK, 1, 300, 4),
            sample(STOCK, 2, 200, 3),
            sample(BATCH, 0, 1000, 0.5, clients_busy=0.95),
            report.Sample(ways.CENTRE, BATCH, 1, error='no\nanswer'),
            report.Sample(
                ways.CENTRE, ways.ALL[-1], 0, error='not there')]

    def test_ratios_are_of_medians(self):
        stock, batch, none = report.lines(self.samples())
        self.assertEqual((200, 1, 1), (
            stock.figures['items_per_second'], stock.faster, stock.cheaper))
        self.assertEqual((5, 6, 'c'), (
            batch.faster, batch.cheaper, batch.marks))
        self.assertEqual(('not there', None), (none.error, none.faster))

    def test_marks(self):
        for marks, other in (
                ('', {}), ('c', {'clients_busy': 0.95}),
                ('c', {'cpu_clients': 3}), ('o', {'other_cores': 1}),
                ('w', {'warm': 0.5}), ('', {'warm': None})):
            line, = report.lines([report.Sample(
                ways.CENTRE, STOCK, 0, cpu=2, **other)])
            self.assertEqual(marks, line.marks)

    def test_table(self):
        text = report.table(ways.CENTRE, self.samples())
        self.assertIn('64K items, many, hot, 8 clients, 3 replicas', text)
        self.assertIn('5.0x', text)
        self.assertIn('not there', text)
        self.assertLessEqual(max(map(len, text.splitlines())), 110)

    def test_no_base_no_ratio(self):
        line, = report.lines(self.samples()[3:4])
        self.assertIsNone(line.faster)
        self.assertIn('-', report.table(ways.CENTRE, self.samples()[3:4]))

    def test_files(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in ('x.json', 'x.csv'):
                report.save(pathlib.Path(directory) / name, {'seconds': 1},
                            self.samples())
            found = json.loads((pathlib.Path(
                directory) / 'x.json').read_text())
            self.assertEqual(6, len(found['samples']))
            self.assertEqual(5, found['ratios'][1]['rate'])
            with open(pathlib.Path(directory) / 'x.csv') as file:
                rows = list(csv.DictReader(file))
        self.assertEqual('65536', rows[0]['size'])
        self.assertEqual('batch native', rows[3]['way'])
        self.assertEqual('32', rows[3]['items_per_request'])


class CommandTest(unittest.TestCase):

    def test_options(self):
        options = command._options(['--sizes', '4K,1M', '--clients', '2'])
        self.assertEqual({4096, layouts.MIB}, {
            cell.size for cell in command._cells(options)})
        self.assertEqual(ways.star(), command._cells(command._options([])))

    def test_ways(self):
        self.assertEqual(['stock S3', 'nginx'], [
            way.name for way in command._ways(['stock S3', 'nginx'], 32)])
        self.assertEqual({0, 8}, {
            way.batch for way in command._ways(None, 8)})


class UsageTest(unittest.TestCase):

    def test_page_cache(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(os.urandom(65536))
            file.flush()
            usage.load([file.name])
            # Some file systems keep what they have, and some do not tell.
            self.assertIn(usage.cached([file.name]), (1, None))
            self.assertIn(usage.evict([file.name]), (0, 1, None))
            usage.load([file.name])
            self.assertIn(usage.cached([file.name]), (1, None))

    def test_nobody(self):
        self.assertEqual({'front': 0}, usage.seconds({'front': [2 ** 30]}))
