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
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from ai_factory_plugins.cmd import inventory
from ai_factory_plugins.inventory import files
from ai_factory_plugins.testing import boards
from ai_factory_plugins.topology import traits
from ai_factory_plugins.topology import wire


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

    def specs(self, *arguments):
        status, out, err = self.run_command(
            *self.files, '-f', 'nova', *arguments)
        self.assertEqual((0, ''), (status, err))
        return [json.loads(line.partition(' = ')[2])
                for line in out.splitlines()
                if line.startswith('device_spec')]

    def test_a_device_spec_tells_placement_what_the_tag_tells(self):
        spec = self.specs()[0]
        self.assertEqual(
            wire.decode(spec['ai_factory_gpu'], 'gpu').partitions,
            traits.decode(spec['traits'].split(','), 'gpu').partitions)

    def test_nics_below_the_switches_of_gpus(self):
        specs = self.specs('--nics', '15B3:1021')
        switches = {wire.decode(spec['ai_factory_gpu'], 'gpu').switches
                    for spec in specs if 'ai_factory_gpu' in spec}
        nics = [spec for spec in specs if 'ai_factory_nic' in spec]
        self.assertEqual(8, len(nics))
        self.assertEqual(switches, {
            wire.decode(nic['ai_factory_nic'], 'nic').switches
            for nic in nics})
        self.assertEqual({'CUSTOM_NIC_15B3_1021'},
                         {nic['resource_class'] for nic in nics})

    def test_nics_that_are_not_there(self):
        # 10de:2330 are the GPUs themselves.
        for ids in ('15b3:ffff', '10de:2330'):
            status, out, err = self.run_command(
                *self.files, '-f', 'nova', '--nics', ids)
            self.assertEqual((1, ''), (status, out))
            self.assertIn(f'{ids}: of 0 such NICs none is below', err)
        with self.assertRaises(SystemExit):
            self.run_command(*self.files, '-f', 'nova', '--nics', 'mlx5')

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

    def test_an_error_of_many_lines_is_one_line(self):
        path = self.root / 'catalogue.yaml'
        path.write_text('gpus: {\n a: [\n')
        status, _, err = self.run_command(
            *self.files, '--catalogue', str(path))
        self.assertEqual((1, 1), (status, err.count('\n')))
        self.assertIn('catalogue.yaml: not YAML', err)

    def test_too_long_a_file(self):
        path = self.root / 'long'
        path.write_text(' ' * (files.MAX_BYTES + 1))
        status, _, err = self.run_command('--fmpm', str(path))
        self.assertEqual(1, status)
        self.assertIn(f'{path}: more than', err)

    def test_standard_input(self):
        with open(self.files[3]) as stream:
            done = subprocess.run(
                [sys.executable, '-m', inventory.__name__, *self.files[:3],
                 '-', *self.files[4:]],
                stdin=stream, capture_output=True, text=True)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        self.assertIn('0 2 5 11', done.stdout)

    def test_map_without_what_the_driver_knows_is_not_saved(self):
        kept = self.root / 'map.json'
        kept.write_text('good')
        status, _, err = self.run_command(
            *self.files[:2], '--save-map', str(kept))
        self.assertEqual(1, status)
        self.assertIn('not saved: the driver does not see', err)
        self.assertEqual('good', kept.read_text())

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

    def test_the_map_stands_in_for_one_that_fails(self):
        kept = str(self.root / 'map.json')
        files_ = ['--sysfs-root', str(self.root / 'sys')]
        for name, option in (('fmpm.json', '--fmpm'),
                             ('nvidia-smi-q.txt', '--nvidia-smi')):
            files_ += [option, str(self.root / name)]
        whole = inventory.run([*files_, '--save-map', kept])
        self.tool('nvidia-smi', 'echo No devices were found; exit 6')
        self.tool('fmpm', 'echo no fabric here >&2; exit 1')
        err = io.StringIO()
        with contextlib.redirect_stderr(err), mock.patch.object(
                inventory.sysfs, 'read_pci_devices',
                lambda root, read=inventory.sysfs.read_pci_devices:
                read(self.root / 'sys')):
            self.assertEqual(whole, inventory.run(['--map', kept]))
        self.assertIn('No devices were found; going on with the kept map',
                      err.getvalue())
        self.assertIn('no fabric here', err.getvalue())

    def test_one_that_is_not_installed_is_a_note(self):
        (self.root / 'fmpm').unlink()
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertIsNone(self.outputs()['fmpm'])
        self.assertIn('fmpm is not installed', err.getvalue())
