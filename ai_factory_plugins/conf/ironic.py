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

"""Options of the inspection hook for Ironic."""

from oslo_config import cfg
from oslo_config import types

from ai_factory_plugins.baremetal import vocabulary

GROUP = cfg.OptGroup('gpu_inventory', title='GPUs of inspected nodes')

OPTS = [
    cfg.StrOpt(
        'trait_prefix',
        default='CUSTOM_GPU',
        regex='CUSTOM_[A-Z0-9_]{0,90}[A-Z0-9]$',
        help="""
What the traits begin with that the hook sets.

Traits that the hook has set before with another prefix are taken away from a
node when it is inspected again.
"""),
    cfg.ListOpt(
        'trait_families',
        default=list(vocabulary.FAMILIES),
        item_type=types.String(
            choices=[(name, None) for name in vocabulary.FAMILIES]),
        help="""
Which traits the hook sets.

``pci``, the PCI ids, are set in any case: they are the only ones that stand
for a GPU that the catalogue does not know.
"""),
    cfg.StrOpt(
        'catalogue_file',
        help="""
YAML file of GPU models that are added to those the package knows, and win
over them. It has the form of ``ai_factory_plugins/inventory/catalogue.yaml``
and is read when ironic-conductor starts.
"""),
    cfg.BoolOpt(
        'strict',
        default=False,
        help="""
Whether an inspection fails if what it says about PCI devices cannot be
understood, or the Processors of the BMC cannot be read.

By default that is logged, and the node keeps the traits that it has.
"""),
    cfg.StrOpt(
        'resource_class_template',
        sample_default='GPU_{model}_X{count}',
        help="""
Resource class for nodes that have none, or that of
``[DEFAULT]default_resource_class``.

``{vendor}``, ``{model}``, ``{count}`` and ``{memory}`` (in GiB) stand for
what the node has. A node with GPUs of several models, with an unknown model,
or with something wrong with its GPUs is left as it is, and so is every node
with another resource class. Without this option the hook sets none.
"""),
    cfg.BoolOpt(
        'store_summary',
        default=False,
        help="""
Whether the hook tells in the node's properties what it found: ``gpu_summary``
is a line about the GPUs and ``gpu_health`` is ``ok`` or what is wrong.
"""),
    cfg.BoolOpt(
        'check_health',
        default=True,
        help="""
Whether the hook looks for GPUs that are missing or have lost links, logs a
warning, and sets the trait of ``degraded_trait``.

A GPU is missing if the node had more of the same models at an inspection
before, or if more than half of at least three other nodes with the same
resource class have more. The property ``gpu_expected`` of a node, a number,
goes before both.
"""),
    cfg.StrOpt(
        'degraded_trait',
        default='CUSTOM_GPU_DEGRADED',
        regex='(CUSTOM_[A-Z0-9_]{1,240})?$',
        help="""
Trait of nodes with something wrong with their GPUs, for flavors to forbid
(``trait:CUSTOM_GPU_DEGRADED=forbidden``). Empty: none.
"""),
    cfg.BoolOpt(
        'read_redfish_processors',
        default=True,
        help="""
Whether the hook asks the BMC of a node that is inspected by Redfish for GPUs
among its Processors, if the list of PCI devices does not tell the model or
the memory of each GPU.
"""),
]


def register_opts(conf):
    """Register the options; to do so twice does no harm."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    """The options, for the sample generator."""
    return [(GROUP, OPTS)]
