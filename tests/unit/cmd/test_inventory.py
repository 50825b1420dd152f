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


import contextlib
import io
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from ai_factory_plugins.cmd import inventory
from ai_factory_plugins.testing import boards


class InventoryTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        boards.write_capture(boards.load('hgx-h100'), self.root)
        self.files = [
            '--sysfs-root', str(self.root / 'sys'),
            '--fmpm', str(self.root / 'fmpm.json'),
            '--nvidia-smi', str(self.root / 'nvidia-smi-q.txt')]

    def run_command(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = inventory.main(list(arguments))
        return status, out.getvalue(), err.getvalue()

    def test_formats(self):
        for name, text in (
                ('table', 'MODULE'), ('json', '"version": 1'),
                ('nova', 'device_spec = {'), ('picture', 'NUMA 0')):
            status, out, err = self.run_command(*self.files, '-f', name)
            self.assertEqual((0, ''), (status, err))
            self.assertIn(text, out)

    def test_the_map_stands_in_for_the_driver(self):
        kept = str(self.root / 'map.json')
        status, whole, _ = self.run_command(
            *self.files, '--save-map', kept, '-f', 'nova')
        self.assertEqual(0, status)
        status, again, err = self.run_command(
            *self.files[:4], '--map', kept, '-f', 'nova')
        self.assertEqual((0, ''), (status, err))
        self.assertEqual(whole, again)

    def test_an_error_is_one_line(self):
        (self.root / 'fmpm.json').write_text('{')
        status, out, err = self.run_command(*self.files)
        self.assertEqual((1, ''), (status, out))
        self.assertEqual(1, err.count('\n'))
        self.assertIn('fmpm', err)

    def test_missing_file(self):
        status, _, err = self.run_command('--fmpm', '/does/not/exist')
        self.assertEqual(1, status)
        self.assertIn('/does/not/exist: No such file', err)

    def test_map_that_cannot_be_written_is_an_error(self):
        status, _, err = self.run_command(
            *self.files, '--save-map', str(self.root / 'no/map.json'))
        self.assertEqual(1, status)
        self.assertIn('no/map.json', err)


class ToolsTest(unittest.TestCase):
    """The real commands, as small programs on PATH."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        boards.write_capture(boards.load('hgx-h100'), self.root)
        path = mock.patch.dict(os.environ, {'PATH': f'{self.root}:/bin'})
        path.start()
        self.addCleanup(path.stop)
        self.tool('fmpm', f'cat {self.root}/fmpm.json')
        self.tool('nvidia-smi', 'case "$1" in '
                  f'-q) cat {self.root}/nvidia-smi-q.txt;; '
                  f'topo) cat {self.root}/nvidia-smi-topo.txt;; esac')

    def tool(self, name, body):
        path = self.root / name
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)

    def outputs(self):
        return {name: inventory._run(command)
                for name, command in inventory.COMMANDS.items()}

    def test_they_are_run(self):
        found = self.outputs()
        self.assertIn('partitionInfo', found['fmpm'])
        self.assertIn('Module ID', found['query'])
        self.assertIn('NV18', found['topo'])

    def test_one_that_fails_is_an_error(self):
        self.tool('fmpm', 'echo Fabric Manager is not running >&2; exit 3')
        with self.assertRaisesRegex(
                inventory.errors.InventoryError,
                'fmpm -l: exit status 3: Fabric Manager is not running'):
            self.outputs()

    def test_one_that_is_not_installed_is_a_note(self):
        (self.root / 'fmpm').unlink()
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertIsNone(self.outputs()['fmpm'])
        self.assertIn('fmpm is not installed', err.getvalue())
