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

"""A BMC for machines that are not there, so that Ironic can inspect them.

It is sushy-tools' emulator, to which the PCI devices of the machines and the
GPUs among their processors are added. As a program it serves the machines of
a file (see :mod:`ai_factory_plugins.testing.machines`), on loopback only::

    python -m ai_factory_plugins.testing.redfish --port 8000 MACHINES.yaml
"""

import argparse
import collections
import contextlib
import importlib.util
import json
import signal
import sys
import tempfile
import threading
import time

from sushy_tools.emulator.resources.systems import fakedriver
from werkzeug import serving
from werkzeug import wrappers

from ai_factory_plugins.testing import machines as descriptions

HOST = '127.0.0.1'


class Systems(fakedriver.FakeDriver):
    """The systems of the emulator: their power is switched at once."""

    def __init__(self, config, logger, machines):
        self._config = config
        self._logger = logger
        self._machines = machines
        super().__init__()

    def set_power_state(self, identity, state):
        super().set_power_state(identity, state)
        pending = self._get(identity).get('pending_power')
        if pending:
            self._update(identity, pending_power={**pending, 'apply_time': 0})

    def get_nics(self, identity):
        return [{'id': mac, 'mac': mac} for mac in self._of(identity).macs]

    def get_total_memory(self, identity):
        return self._of(identity).memory_gib

    def get_total_cpus(self, identity):
        return self._of(identity).sockets

    def get_processors(self, identity):
        machine = self._of(identity)
        return [{'id': f'CPU{i}', 'socket': f'CPU {i}', 'vendor': 'Intel',
                 'model': 'Xeon', 'cores': machine.cores,
                 'threads': 2 * machine.cores}
                for i in range(machine.sockets)]

    def _of(self, identity):
        return self._machines[self.uuid(identity)]


class Emulator:
    """The BMCs of machines: a WSGI application.

    :param machines: list of
        :class:`~ai_factory_plugins.testing.machines.Machine`
    :param state_dir: directory for what is changed through the API
    """

    def __init__(self, machines, state_dir):
        self._machines = {machine.uuid: machine for machine in machines}
        self._resources = {machine.uuid: descriptions.resources(machine)
                           for machine in machines}
        self._app = _emulator(self._machines, str(state_dir))
        self._lock = threading.Lock()
        self._reads = collections.Counter()

    def replace(self, machine):
        """Rebuild a machine, but for its disk.

        :param machine: the machine that has its UUID from now on
        """
        with self._lock:
            self._machines[machine.uuid] = machine
            self._resources[machine.uuid] = descriptions.resources(machine)
            self._reads.clear()

    def reads(self, machine, path):
        """How often a path below the system was read since then."""
        return self._reads[f'{machine.path}/{path}']

    def __call__(self, environ, start_response):
        response = self._response(wrappers.Request(environ))
        return response(environ, start_response)

    def _response(self, request):
        path = request.path.rstrip('/')
        machine = self._machines.get(
            path.removeprefix(f'{descriptions.SYSTEMS}/').split('/')[0])
        if machine is None or request.method != 'GET':
            return wrappers.Response.from_app(self._app, request.environ)
        with self._lock:
            self._reads[path] += 1
            times = self._reads[path]
        answer = machine.answers.get(path.removeprefix(f'{machine.path}/'))
        if answer is None or times <= answer.after:
            return self._usual(machine, path, request)
        time.sleep(answer.delay)
        if answer.text is not None:
            return wrappers.Response(
                answer.text, answer.status, content_type='application/json')
        if answer.body is not None:
            return _json(answer.body, answer.status)
        if answer.status != 200:
            return _json({'error': {
                'code': 'Base.1.0.GeneralError',
                'message': 'The BMC is out of order'}}, answer.status)
        return self._usual(machine, path, request)

    def _usual(self, machine, path, request):
        own = self._resources[machine.uuid].get(path)
        if own is not None:
            return _json(own)
        response = wrappers.Response.from_app(self._app, request.environ)
        if response.status_code != 200:
            return response
        return _json(descriptions.extended(machine, path, response.json))


@contextlib.contextmanager
def serve(machines):
    """Serve machines in a thread, on a port that is free.

    :param machines: list of
        :class:`~ai_factory_plugins.testing.machines.Machine`
    :returns: context manager that gives the :class:`Emulator` and its URL
    """
    with tempfile.TemporaryDirectory() as state_dir:
        emulator = Emulator(machines, state_dir)
        server = _server(emulator, 0, _Quiet)
        thread = threading.Thread(target=server.serve_forever, daemon=True,
                                  kwargs={'poll_interval': 0.02})
        thread.start()
        try:
            yield emulator, f'http://{HOST}:{server.port}'
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def main(argv=None):
    """Serve the machines of a file until the program is ended."""
    parser = argparse.ArgumentParser(
        prog='python -m ai_factory_plugins.testing.redfish',
        description='BMCs of machines that are not there, on loopback')
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument(
        '--state-dir', help='where power states and the like are kept; '
        'without it they are lost when the program ends')
    parser.add_argument('machines', help='YAML file that describes them')
    args = parser.parse_args(argv)
    try:
        machines = descriptions.load(args.machines)
    except (OSError, descriptions.MachineError) as exc:
        print(exc, file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        state_dir = args.state_dir or stack.enter_context(
            tempfile.TemporaryDirectory())
        server = _server(Emulator(machines, state_dir), args.port)
        print(f'{len(machines)} machines at http://{HOST}:{server.port}',
              flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        server.serve_forever()
    return 0


class _Quiet(serving.WSGIRequestHandler):

    def log(self, *args):
        pass


def _server(emulator, port, handler=None):
    return serving.make_server(
        HOST, port, emulator, threaded=True, request_handler=handler)


def _emulator(machines, state_dir):
    """sushy-tools' application with these machines.

    Its module has one application and keeps all state on it. So that there
    can be several in one process, each has a copy of the module.
    """
    spec = importlib.util.find_spec('sushy_tools.emulator.main')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drive = {'Id': '1', 'Name': 'Disk', 'Protocol': 'SAS'}
    module.app.config.update({
        'SUSHY_EMULATOR_STATE_DIR': state_dir,
        'SUSHY_EMULATOR_FAKE_SYSTEMS': [
            {'uuid': machine.uuid, 'name': machine.name,
             'power_state': machine.power_state}
            for machine in machines.values()],
        'SUSHY_EMULATOR_STORAGE': {
            uuid: [{'Id': '1', 'Name': 'Storage', 'Drives': ['1']}]
            for uuid in machines},
        'SUSHY_EMULATOR_DRIVES': {
            (uuid, '1'): [{**drive, 'CapacityBytes': machine.disk_gib << 30}]
            for uuid, machine in machines.items()},
        'SUSHY_EMULATOR_VOLUMES': {(uuid, '1'): [] for uuid in machines}})
    module.Application.systems = Systems(
        module.app.config, module.app.logger, machines)
    return module.app


def _json(body, status=200):
    return wrappers.Response(
        json.dumps(body), status, content_type='application/json')


if __name__ == '__main__':
    sys.exit(main())
