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


"""Validators of the flavor extra specs, for nova-api.

With them a typo in a flavor is an HTTP 400 that names the allowed values, in
place of a server without a host. Nova finds them through the entry point
group ``nova.api.extra_spec_validators``, and from then on refuses every
extra spec of the namespace ``ai_factory`` that is not listed here.
"""

from nova.api.validation.extra_specs import base
import nova.conf
from nova import exception

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.topology import fabric
from ai_factory_plugins.topology import policy

CONF = nova.conf.CONF


def register():
    """The validators, as Nova's registry wants them."""
    return [
        base.ExtraSpecValidator(
            name=policy.TOPOLOGY,
            description=(
                'How tightly the GPUs of a server are joined: one NVLink '
                'fabric, one PCIe switch, one NUMA node, or one host.'),
            value={'type': str, 'enum': list(policy.LEVELS),
                   'description': 'The loosest level that is wanted.'}),
        base.ExtraSpecValidator(
            name=policy.TOPOLOGY_POLICY,
            description=(
                f'Whether {policy.TOPOLOGY} is a condition (the default) or '
                'a preference.'),
            value={'type': str, 'enum': list(policy.POLICIES),
                   'description': 'The policy.'}),
        base.ExtraSpecValidator(
            name=policy.NIC_AFFINITY,
            description=(
                'Whether each NIC of a flavor that has GPUs and NICs is '
                'below the same PCIe switch as one of its GPUs.'),
            value={'type': str, 'enum': list(policy.POLICIES),
                   'description': 'The policy.'}),
        _FabricLevel(
            name=fabric.LOCALITY,
            description=(
                'The level of the fabric between hosts whose blocks keep the '
                'members of a job together.'),
            value={'type': str, 'description': 'One of '
                   '``[ai_factory]fabric_levels``.'}),
        base.ExtraSpecValidator(
            name=fabric.LOCALITY_POLICY,
            description=(
                f'Whether {fabric.LOCALITY} is a condition (the default) or '
                'a preference.'),
            value={'type': str, 'enum': list(fabric.POLICIES),
                   'description': 'The policy.'}),
    ]


class _FabricLevel(base.ExtraSpecValidator):
    """A level of the fabric; which there are is configuration."""

    def validate(self, name, value):
        # Validators are registered before nova-api has read its nova.conf.
        conf.register_opts(CONF)
        levels = CONF.ai_factory.fabric_levels
        if value not in levels:
            raise exception.ValidationError(
                f"Validation failed; '{value}' is not one of: "
                f"{', '.join(levels)}.")
