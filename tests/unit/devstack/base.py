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

"""DevStack, as far as our plugin sees it, in a directory of its own.

The phases of ``devstack/plugin.sh`` run in bash, as in ``stack.sh``, against
the functions in ``stubs/`` and the configuration files in ``sample/``.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
PROJECT = HERE.parents[2]
GOLDEN = HERE / 'golden'

CONTROLLER = 'n-api,n-sch,n-cond,n-cpu,placement-api,tempest'
IRONIC = 'ir-api,ir-cond'
SWIFT = 's-proxy,s-object,s3api'
BOARD = {'AI_FACTORY_FAKE_GPUS': 'hgx-h100'}
NOVA_CASE = {'ENABLED_SERVICES': CONTROLLER, **BOARD}
#: What is compared with golden files, by name of their directory.
CASES = {
    'nova': NOVA_CASE,
    # A real host with GPUs; a captured board stands for it.
    'nova-host': {'ENABLED_SERVICES': CONTROLLER, 'BOARD': 'pcie-bridge-pairs',
                  'AI_FACTORY_FLAVOR_GPUS': '2'},
    'ironic': {'ENABLED_SERVICES': f'{IRONIC},tempest'},
    'swift': {'ENABLED_SERVICES': SWIFT},
    'all': {'ENABLED_SERVICES': f'{CONTROLLER},{IRONIC},{SWIFT}', **BOARD,
            'AI_FACTORY_FAKE_COMPUTES': '2', 'VIRT_DRIVER': 'ironic',
            'AI_FACTORY_FAKE_MACHINES': 'hgx-h100 mi300x-8'},
}


class DevStack:
    """One host with DevStack.

    :param root: directory for all that it writes
    :param options: what ``local.conf`` says
    """

    def __init__(self, root, **options):
        self.root = pathlib.Path(root)
        self.options = options
        board = options.pop('BOARD', None)
        if board is not None:
            self._capture(board)

    def _capture(self, board):
        from ai_factory_plugins.testing import boards

        directory = self.root / 'captured'
        boards.write_capture(boards.load(board), directory)
        self.options['AI_FACTORY_INVENTORY_ARGS'] = (
            f'--sysfs-root {directory}/sys '
            f'--nvidia-smi {directory}/nvidia-smi-q.txt '
            f'--topo {directory}/nvidia-smi-topo.txt')

    def run(self, script, **options):
        """Run a script: ``stack``, ``unstack`` or ``clean``.

        :param options: further variables
        :returns: a :class:`subprocess.CompletedProcess`
        """
        return subprocess.run(
            ['bash', str(HERE / 'stubs/devstack'), script],
            env={'PATH': os.environ['PATH'],
                 'PYTHON': str(HERE / 'stubs/python'),
                 'REAL_PYTHON': sys.executable,
                 'PYTHONPATH': str(PROJECT), 'PYTHONWARNINGS': 'ignore',
                 'PROJECT': str(PROJECT), 'ROOT': str(self.root),
                 'STUBS': str(HERE / 'stubs'),
                 'SAMPLE': str(HERE / 'sample'),
                 **{name: os.environ[name] for name in ('INI_CONFIG',)
                    if name in os.environ},
                 **self.options, **options},
            capture_output=True, text=True, timeout=120)

    def files(self):
        """Text of all configuration files, by path below ``etc``."""
        etc = self.root / 'etc'
        return {str(path.relative_to(etc)): path.read_text()
                for path in sorted(etc.rglob('*')) if path.is_file()}

    def conf(self, name):
        return self.root / 'etc' / name

    def calls(self):
        """What it was asked to do, a line each, since it was asked last."""
        path = self.root / 'calls'
        text = path.read_text() if path.exists() else ''
        path.unlink(missing_ok=True)
        return text

    def neutral(self, text):
        """Text without what differs from machine to machine."""
        # The first may be below the third.
        return (text.replace(str(HERE / 'stubs/python'), 'PYTHON')
                .replace(str(self.root), 'ROOT')
                .replace(str(PROJECT), 'PROJECT'))


class TestCase(unittest.TestCase):

    maxDiff = None

    def devstack(self, **options):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return DevStack(directory.name, **options)

    def done(self, host, script, **options):
        """Run a script that has to succeed."""
        found = host.run(script, **options)
        self.assertEqual(
            (0, ''), (found.returncode, found.stderr), found.stdout)
        return found

    def stacked(self, **options):
        """A host on which ``stack.sh`` has run."""
        host = self.devstack(**options)
        self.done(host, 'stack')
        return host

    def assert_stopped(self, message, found):
        """A script has stopped with one line that is ours."""
        self.assertEqual(1, found.returncode, found.stdout)
        line, = found.stderr.splitlines()
        self.assertTrue(line.startswith('[ERROR] '), line)
        self.assertIn(message, line)


def changes(host, stock):
    """What our plugin has made of the configuration files, and its calls.

    :param host: a :class:`DevStack`
    :param stock: files of one without the plugin
    :returns: dict of file names to text
    """
    found = {name: text for name, text in host.files().items()
             if stock.get(name) != text}
    return {pathlib.Path(name).name: host.neutral(text)
            for name, text in {**found, 'calls': host.calls()}.items()}
