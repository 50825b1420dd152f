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

from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import wire

LOG = logging.getLogger(__name__)
_POOLS = 'ai_factory_pools'


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
    found = [(pool.get('address', ''), _device(pool, uuid, wire.TAG_KEY))
             for pool, uuid in _free_pools(host_state, request, providers)]
    # In the order of addresses, hosts of one model look alike to the
    # selection, which then need not work it out again.
    return [device for _, device in sorted(found, key=lambda item: item[0])]


def keep_pools(host_state, requests, pools):
    """Keep what the filter found free for the weigher.

    It is kept at the HostState, which Nova makes for one request and throws
    away with it.

    :param host_state: a nova HostState
    :param requests: list of
        :class:`~ai_factory_plugins.nova.request.DeviceRequest`
    :param pools: a :class:`~ai_factory_plugins.topology.selection.FreePool`
        for each of them
    """
    setattr(host_state, _POOLS, {
        request.groups: pool for request, pool in zip(requests, pools)})


def kept_pool(host_state, request):
    """What :func:`keep_pools` kept for a request, or None."""
    return getattr(host_state, _POOLS, {}).get(request.groups)


def free_nics(host_state, request, providers=None):
    """NICs of the host that are free and of the kind asked for.

    A NIC without a tag, or with one that cannot be used, is one whose PCIe
    switches are not known.

    :param host_state: a nova HostState
    :param request: a :class:`~ai_factory_plugins.nova.request.DeviceRequest`
    :param providers: see :func:`free_devices`
    :returns: dict of :class:`~ai_factory_plugins.topology.model.Device` to
        how many virtual functions are left of it; 1 for a NIC as a whole
    """
    found = {}
    for pool, uuid in _free_pools(host_state, request, providers):
        try:
            nic, _ = _device(pool, uuid, wire.NIC_TAG_KEY)
        except NoTopology as exc:
            warn_once(host_state.host, exc)
            nic = model.Device(uuid, pool['numa_node'])
        found[nic] = found.get(nic, 0) + pool['count']
    return found


def is_tagged(host_state, request):
    """Whether any device of the kind asked for carries a topology tag."""
    pools = host_state.pci_stats.pools if host_state.pci_stats else []
    return any(wire.TAG_KEY in pool and request.matches(pool)
               for pool in pools)


def is_untagged(host_state, request):
    """Whether no device of the kind asked for carries a tag.

    A host of which all devices are in use shows none, and says nothing.
    """
    pools = host_state.pci_stats.pools if host_state.pci_stats else []
    found = False
    for pool in pools:
        if request.matches(pool):
            if wire.TAG_KEY in pool:
                return False
            found = True
    return found


def gpu_requests(host_states, requests):
    """Those of the device requests that are for GPUs.

    :param host_states: list of nova HostStates
    :param requests: list of
        :class:`~ai_factory_plugins.nova.request.DeviceRequest`
    :returns: those of which any host has a device with a topology tag, or all
        where no host has any
    """
    return [item for item in requests
            if any(is_tagged(host, item) for host in host_states)] or requests


def warn_once(host, problem):
    """Log what is wrong with a host, but not at each request."""
    _warn(host, str(problem))


@functools.lru_cache(maxsize=1024)
def _warn(host, problem):
    LOG.warning(
        'Host %(host)s is treated as one without GPU topology: %(problem)s. '
        'Write its [pci]device_spec lines anew with ai-factory-inventory and '
        'restart nova-compute.', {'host': host, 'problem': problem})


def _free_pools(host_state, request, providers):
    pools = host_state.pci_stats.pools if host_state.pci_stats else []
    for pool in pools:
        uuid = pool.get('rp_uuid')
        if uuid is None or pool['count'] < 1 or not request.matches(pool):
            continue
        if providers is None or uuid in providers:
            yield pool, uuid


def _device(pool, uuid, key):
    text = pool.get(key)
    try:
        device = wire.decode(
            wire.VERSION if text is None else text, uuid, pool['numa_node'])
    except wire.WireError as exc:
        raise NoTopology(
            f'{key} of {pool.get("address")}: {exc}') from exc
    return device, text is not None
