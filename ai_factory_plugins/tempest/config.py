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

"""Options of the Tempest plugin."""

from oslo_config import cfg

SERVICE_OPTS = [
    cfg.BoolOpt('ai_factory', default=False, help="""
Whether the plugins of this package are installed in the cloud.
"""),
]

GROUP = cfg.OptGroup('ai_factory', title='Plugins for AI hardware')
OPTS = [
    cfg.StrOpt('gpu_alias', help="""
Name of a PCI alias, one of ``[pci]alias`` in nova.conf. Without it, there are
no tests of servers with GPUs. They need all GPUs of that model.
"""),
    cfg.StrOpt('gpu_resource_class', help="""
Resource class in placement of the devices of that alias.
"""),
    cfg.StrOpt('s3_url', help="""
URL of S3 in front of Swift, such as ``http://127.0.0.1:8080``. Without it,
there are no tests of S3.
"""),
    cfg.BoolOpt('bare_metal', default=False, help="""
Whether Ironic has the inspection hook. The tests take machines that were
inspected and are available.
"""),
]


def list_opts():
    """The options by name of their group, as Tempest wants them."""
    return [('service_available', SERVICE_OPTS), (GROUP.name, OPTS)]


def register_opts(conf):
    """Register the options."""
    conf.register_group(GROUP)
    for group, options in list_opts():
        conf.register_opts(options, group=group)
