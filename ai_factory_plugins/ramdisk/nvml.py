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

"""What NVIDIA's driver tells, in a ramdisk that has it and ``pynvml``.

Source of the functions: NVML API reference, "Device Queries" and "NvLink
Methods".
"""

import logging
import threading

LOG = logging.getLogger(__name__)
#: A driver that waits for a broken GPU must not stop the inspection.
SECONDS = 60
MAX_GPUS = 64
_MAX_NAME = 64


def read(seconds=SECONDS):
    """Ask NVIDIA's driver for its GPUs.

    :param seconds: how long to wait for it
    :returns: None if it cannot be asked or does not answer; else dict of
        ``driver`` (version) and ``gpus``: list of dicts of ``address``,
        ``name``, ``memory_mib``, ``module_id`` (None where there is none),
        and ``nvlinks``: None where it has none, else dict of ``active``,
        ``total`` and ``peers`` (how many links lead to which PCI address)
    """
    try:
        import pynvml
    except ImportError:
        LOG.info('gpu-topology: the ramdisk has no pynvml: NVLinks are not '
                 'looked at')
        return None
    found = []
    thread = threading.Thread(
        target=_ask, args=(pynvml, found), daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        LOG.warning("gpu-topology: NVIDIA's driver does not answer within "
                    '%s s', seconds)
        return None
    return found[0] if found else None


def _ask(pynvml, found):
    try:
        pynvml.nvmlInit()
        try:
            found.append({
                'driver': _text(pynvml.nvmlSystemGetDriverVersion()),
                'gpus': [_gpu(pynvml, i) for i in range(
                    min(pynvml.nvmlDeviceGetCount(), MAX_GPUS))]})
        finally:
            pynvml.nvmlShutdown()
    except Exception as exc:
        LOG.warning("gpu-topology: NVIDIA's driver: %s", exc)


def _gpu(pynvml, index):
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = _or_none(pynvml, pynvml.nvmlDeviceGetMemoryInfo, handle)
    return {
        'address': _address(pynvml.nvmlDeviceGetPciInfo(handle)),
        'name': _text(pynvml.nvmlDeviceGetName(handle)),
        'memory_mib': memory and memory.total // 2 ** 20,
        'module_id': _or_none(pynvml, pynvml.nvmlDeviceGetModuleId, handle),
        'nvlinks': _nvlinks(pynvml, handle)}


def _nvlinks(pynvml, handle):
    active = total = 0
    peers = {}
    for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
        state = _or_none(
            pynvml, pynvml.nvmlDeviceGetNvLinkState, handle, link)
        if state is None:
            continue
        total += 1
        if state != pynvml.NVML_FEATURE_ENABLED:
            continue
        active += 1
        remote = _or_none(
            pynvml, pynvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link)
        if remote is not None:
            peer = _address(remote)
            peers[peer] = peers.get(peer, 0) + 1
    if not total:
        return None
    return {'active': active, 'total': total, 'peers': peers}


def _or_none(pynvml, function, *args):
    """What a function gives, or None where the GPU has no such thing."""
    try:
        return function(*args)
    except pynvml.NVMLError:
        return None


def _address(info):
    """A PCI address as the kernel writes it.

    NVML has eight digits of domain and upper case.
    """
    domain, _, rest = _text(info.busId).lower().partition(':')
    return f'{int(domain, 16):04x}:{rest}'


def _text(value):
    """Text, which older bindings give as bytes."""
    if isinstance(value, bytes):
        value = value.decode(errors='replace')
    return value[:_MAX_NAME]
