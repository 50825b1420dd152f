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

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import fixtures
import testtools

from cloud import errors
from cloud import layout as layouts
from cloud import process

SLEEP = 'import time; time.sleep(60)'
# A process that ends and leaves a child behind, in its group.
PARENT = (f'import subprocess, sys\n'
          f'subprocess.Popen([sys.executable, "-c", {SLEEP!r}])\n')


class ProcessTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.layout = layouts.Layout(pathlib.Path(directory.name))

    def start(self, code):
        self.addCleanup(process.stop, self.layout, 'it', seconds=0)
        return process.start(self.layout, 'it', [sys.executable, '-c', code])

    def test_runs_until_it_is_stopped(self):
        number = self.start(SLEEP)
        self.assertEqual(number, process.pid(self.layout, 'it'))
        self.assertEqual(['it'], process.known(self.layout))
        process.stop(self.layout, 'it')
        self.assertIsNone(process.pid(self.layout, 'it'))
        self.assertEqual([], process._members(number))
        self.assertEqual([], process.known(self.layout))

    def test_what_does_not_want_to_stop_is_killed(self):
        number = self.start(
            'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
            'print("deaf", flush=True)\n' + SLEEP)
        while 'deaf' not in process.tail(self.layout.log('it')):
            time.sleep(0.05)
        process.stop(self.layout, 'it', seconds=0.2)
        self.assertEqual([], process._members(number))

    def test_what_a_crashed_service_has_left_is_stopped(self):
        number = self.start(PARENT)
        while process.pid(self.layout, 'it') is not None:
            time.sleep(0.05)
        self.assertEqual(number, process.group(self.layout, 'it'))
        process.stop(self.layout, 'it')
        self.assertEqual([], process._members(number))

    def test_another_process_with_the_number_is_left_alone(self):
        other = subprocess.Popen(
            [sys.executable, '-c', SLEEP], start_new_session=True)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        true = {'pid': other.pid, 'started': process._started(other.pid),
                'boot': process._boot()}
        self.layout.directory('run')
        for wrong in ({'started': true['started'] - 1}, {'boot': 'earlier'}):
            self.layout.pid('it').write_text(json.dumps({**true, **wrong}))
            self.assertIsNone(process.pid(self.layout, 'it'))
            self.assertIsNone(process.group(self.layout, 'it'))
            process.stop(self.layout, 'it', seconds=0)
            self.assertIsNone(other.poll())
        self.layout.pid('it').write_text(json.dumps(true))
        self.assertEqual(other.pid, process.pid(self.layout, 'it'))

    def test_a_broken_pid_file_is_no_process(self):
        self.layout.directory('run')
        self.layout.pid('it').write_text('{')
        self.assertIsNone(process.pid(self.layout, 'it'))

    def test_a_failed_command_shows_its_log(self):
        exc = self.assertRaises(
            errors.CloudError, process.run, self.layout, 'it',
            [sys.executable, '-c', 'raise SystemExit("no such table")'])
        self.assertIn('it failed with status 1', str(exc))
        self.assertIn('no such table', str(exc))

    def test_environment(self):
        for name, value in (('OS_CLOUD', 'mine'), ('KEPT', 'yes'),
                            ('PYTHONDONTWRITEBYTECODE', '1')):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        found = process.environment({'OS_AUTH_URL': 'ours'})
        self.assertNotIn('OS_CLOUD', found)
        self.assertNotIn('PYTHONDONTWRITEBYTECODE', found)
        self.assertEqual(
            ('yes', 'ours'), (found['KEPT'], found['OS_AUTH_URL']))
