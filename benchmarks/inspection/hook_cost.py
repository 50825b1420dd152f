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

"""What the inspection hook ``gpu-inventory`` costs the conductor.

The conductor's own ``continue_inspection`` runs in process on Ironic's test
database (SQLite), with what a ramdisk tells of a machine with 8 GPUs, with
Ironic's default hooks alone, with its hook ``accelerators`` beside them, and
with ours. Ours runs on nodes that are inspected for the first time, for which
it makes the traits, and on nodes that are inspected again, for which nothing
is new; both with the list of PCI devices and with what our collector tells.
All nodes are of one resource class, so that the hook compares each with as
many siblings as it looks at.

Times are CPU milliseconds of this process for a node, the median of several
nodes. Run it with::

    python -m benchmarks.inspection.hook_cost --devices 200
"""

import argparse
import logging
import statistics
import time
import unittest

# It goes first: it chooses the backend of oslo.service.
from tests.inspection import base  # noqa: I100,I202

from ironic.drivers.modules import inspect_utils  # noqa: I100
from ironic.tests import base as ironic_base

from ai_factory_plugins.ironic import update
from tests import devices

STOCK = "Ironic's default hooks"


def pci_devices(count):
    """What the ramdisk's collector ``pci-devices`` tells."""
    gpus = devices.in_band()
    return gpus + [{**devices.NIC, 'bus': f'0000:{0x20 + i // 32:02x}:'
                                          f'{i % 32:02x}.0'}
                   for i in range(count - len(gpus))]


class Measurement(base.InspectionCase):
    """Not a test: what it needs of Ironic is made as for a test."""

    #: How many devices and nodes, set before it runs.
    devices = nodes = 0

    def measure(self):
        for _ in range(update.MAX_SIBLINGS):
            self.inspect(self.sibling(), {'pci_devices': devices.in_band()})
        plain = {'pci_devices': pci_devices(self.devices)}
        ours = {**plain, 'gpu_topology': devices.topology()}
        # What an instance has is lost when its test ends.
        Measurement.rows = [
            (STOCK, self.seconds('', plain)),
            ('with accelerators', self.seconds(',accelerators', plain)),
            ('with gpu-inventory', self.seconds(',gpu-inventory', plain)),
            ('the same, again',
             self.seconds(',gpu-inventory', plain, again=True)),
            ('with gpu-inventory and gpu-topology',
             self.seconds(',gpu-inventory', ours)),
            ('the same, again',
             self.seconds(',gpu-inventory', ours, again=True))]

    def sibling(self):
        return self.node(resource_class='hgx')

    def seconds(self, hooks, plugin_data, again=False):
        """Median CPU seconds of an inspection.

        :param hooks: what runs beside the default hooks
        :param again: whether the nodes were inspected before
        """
        self.config(group='inspector',
                    hooks=base.base.cfg.CONF.inspector.default_hooks + hooks)
        self.options()
        assert not inspect_utils._HOOKS_MGR
        # The first one loads what is loaded once.
        self.inspect(self.sibling(), plugin_data)
        times = []
        for _ in range(self.nodes):
            node = self.sibling()
            if again:
                self.inspect(node, plugin_data)
            before = time.process_time()
            self.inspect(node, plugin_data)
            times.append(time.process_time() - before)
        return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--devices', type=int, default=200,
                        help='PCI devices of the machine')
    parser.add_argument('--nodes', type=int, default=50)
    parser.add_argument('--timeout', type=int, default=600,
                        help='seconds after which it gives up')
    args = parser.parse_args()
    Measurement.devices, Measurement.nodes = args.devices, args.nodes
    logging.disable(logging.WARNING)
    ironic_base.BASE_TEST_TIMEOUT = args.timeout
    case = Measurement('measure')
    result = unittest.TestResult()
    case.run(result)
    for _, text in result.errors + result.failures:
        raise SystemExit(text)
    stock = Measurement.rows[0][1]
    print(f'8 GPUs among {args.devices} PCI devices, {args.nodes} nodes each')
    print(f'{"":38}{"CPU ms":>8}{"ratio":>8}{"more, ms":>10}')
    for name, seconds in Measurement.rows:
        print(f'{name:38}{1000 * seconds:8.1f}{seconds / stock:8.2f}'
              f'{1000 * (seconds - stock):10.1f}')


if __name__ == '__main__':
    main()
