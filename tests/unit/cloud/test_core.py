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

import pathlib
import socket
import sys
import tempfile
import time

import fixtures
import testtools

from cloud import backing
from cloud import core
from cloud import errors
from cloud import layout as layouts
from cloud import process
from cloud import service

SLEEP = [sys.executable, '-c', 'import time; time.sleep(60)']


class CloudTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name) / 'cloud'
        self.told = []
        # The programs need not be installed for what is tested here.
        self.useFixture(fixtures.MockPatchObject(
            backing, 'program', lambda name: f'/usr/sbin/{name}'))

    def cloud(self, **options):
        cloud = core.Cloud(self.root, tell=self.told.append, **options)
        self.addCleanup(cloud.down)
        return cloud

    def test_looking_at_nothing_writes_nothing(self):
        cloud = self.cloud()
        self.assertFalse(any(
            works for _, works in cloud.status().values()))
        self.assertIn('mariadb does not run', cloud.unwell())
        self.assertEqual([], cloud.down())
        self.assertFalse(self.root.exists())

    def test_services_come_after_what_they_need(self):
        seen = set()
        for item in self.cloud().services():
            self.assertTrue(seen.issuperset(item.needs), item.name)
            self.assertNotIn(item.name, seen)
            seen.add(item.name)
        self.assertTrue(seen.issuperset(
            f'nova-compute-{name}' for name in core.COMPUTES))

    def test_every_port_is_some_service_s(self):
        ports = [port for item in self.cloud().services()
                 for port in item.ports]
        self.assertEqual(sorted(layouts.PORTS), sorted(ports))

    def test_port_offset(self):
        one, two = (layouts.Layout(self.root, offset) for offset in (0, 100))
        self.assertEqual(
            {100}, {two.port(n) - one.port(n) for n in layouts.PORTS})
        self.assertEqual(
            len(layouts.PORTS), len({one.port(n) for n in layouts.PORTS}))

    def test_a_taken_port_is_named_before_anything_starts(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            port = taken.getsockname()[1]
            cloud = self.cloud(
                port_offset=port - layouts.Layout(self.root).port('keystone'))
            self.useFixture(fixtures.MockPatchObject(
                backing, 'require_programs'))
            exc = self.assertRaises(errors.CloudError, cloud.up)
        self.assertIn(f'{port} (keystone)', str(exc))
        self.assertEqual([], process.known(cloud.layout))

    def test_remembers_how_it_was_started(self):
        first = self.cloud(
            port_offset=300, scheduler='stock',
            computes={'one': core.Compute('hgx-h100')})
        first.layout.directory()
        first._remember()
        found = self.cloud()
        self.assertEqual(
            (300, 'stock', first.computes),
            (found.layout.port_offset, found.scheduler, found.computes))

    def test_starts_in_order_and_at_once_where_it_can(self):
        cloud = self.cloud()
        ready = {}
        items = [service.Service(
            name, SLEEP, needs=needs,
            ready=lambda name=name: name in ready or ready.update({name: 1}))
            for name, needs in (('c', ('a', 'b')), ('b', ()), ('a', ('z',)))]
        cloud.start(items)
        self.assertEqual('c ready (3 of 3)', self.told[-1])
        self.assertEqual({'a', 'b', 'c'}, set(cloud.running()))
        self.assertEqual({'a', 'b', 'c'}, set(cloud.down()))
        self.assertEqual([], cloud.running())

    def test_a_service_that_dies_shows_its_log_at_once(self):
        cloud = self.cloud()
        code = 'raise SystemExit("wrong configuration")'
        item = service.Service(
            'it', [sys.executable, '-c', code], ready=lambda: False)
        began = time.monotonic()
        exc = self.assertRaises(errors.CloudError, cloud.start, [item])
        self.assertIn('it ended while it started', str(exc))
        self.assertIn('wrong configuration', str(exc))
        self.assertLess(time.monotonic() - began, 30)

    def test_only_one_starts_it(self):
        cloud = self.cloud()
        self.useFixture(fixtures.MockPatchObject(
            backing, 'require_programs'))
        with cloud._alone():
            exc = self.assertRaises(errors.CloudError, self.cloud().up)
        self.assertIn('Another process is starting', str(exc))

    def test_missing_programs_are_named_by_package(self):
        self.useFixture(fixtures.MockPatchObject(
            backing, 'program',
            lambda name: None if 'rabbit' in name else name))
        exc = self.assertRaises(errors.CloudError, self.cloud().up)
        self.assertThat(str(exc), testtools.matchers.EndsWith(
            'apt-get install --no-install-recommends rabbitmq-server'))
