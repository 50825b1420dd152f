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


"""The GPUs of a host, as the scheduler sees them.

What a compute host says about its free PCI devices reaches the scheduler as
the pools of ``HostState.pci_stats``, one for each device. The topology tag of
a device (:mod:`ai_factory_plugins.topology.wire`) is a key of its pool.
"""

import functools

from oslo_log import log as logging

from ai_factory_plugins.topology import wire

LOG = logging.getLogger(__name__)


class NoTopology(Exception):
    """The host does not say what belongs together, or says it wrongly."""


def free_devices(host_state, request, providers=None):
    """Devices of the host that are free and of the kind asked for.

    :param host_state: a nova HostState
    :param request: a :class:`~ai_factory_plugins.nova.request.DeviceRequest`
    :param providers: uuids of the providers that are free; None where that
        is not known and the pools have to do
    :returns: list of (:class:`~ai_factory_plugins.topology.model.Device`,
        whether it carries a tag), ordered by address; the key of a device is
        the uuid of its resource provider
    :raises NoTopology: a tag is malformed or of an unknown version
    """
    pools = host_state.pci_stats.pools if host_state.pci_stats else []
    found = []
    for pool in pools:
        uuid = pool.get('rp_uuid')
        if uuid is None or pool['count'] < 1 or not request.matches(pool):
            continue
        if providers is not None and uuid not in providers:
            continue
        found.append((pool.get('address', ''), _device(pool, uuid)))
    # In the order of addresses, hosts of one model look alike to the
    # selection, which then need not work it out again.
    return [device for _, device in sorted(found, key=lambda item: item[0])]


def is_tagged(host_state, request):
    """Whether any device of the kind asked for carries a topology tag."""
    pools = host_state.pci_stats.pools if host_state.pci_stats else []
    return any(wire.TAG_KEY in pool and request.matches(pool)
               for pool in pools)


def warn_once(host, problem):
    """Log what is wrong with a host, but not at each request."""
    _warn(host, str(problem))


@functools.lru_cache(maxsize=1024)
def _warn(host, problem):
    LOG.warning(
        'Host %(host)s is treated as one without GPU topology: %(problem)s. '
        'Write its [pci]device_spec lines anew with ai-factory-inventory and '
        'restart nova-compute.', {'host': host, 'problem': problem})


def _device(pool, uuid):
    text = pool.get(wire.TAG_KEY)
    try:
        device = wire.decode(
            wire.VERSION if text is None else text, uuid, pool['numa_node'])
    except wire.WireError as exc:
        raise NoTopology(
            f'{wire.TAG_KEY} of {pool.get("address")}: {exc}') from exc
    return device, text is not None
