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


"""Nova: scheduling by GPU topology and by the fabric between hosts.

Nova loads filters and weighers by dotted path. The two callables here hand it
whatever is registered under the project's own entry point groups::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = ai_factory_plugins.nova.all_filters
    weight_classes =
        nova.scheduler.weights.all_weighers,
        ai_factory_plugins.nova.all_weighers

``weight_classes`` is one list: of two lines, the last would be the only one.
"""

import stevedore

FILTERS = 'ai_factory_plugins.nova.scheduler.filters'
WEIGHERS = 'ai_factory_plugins.nova.scheduler.weighers'


def all_filters():
    """The filter classes that are installed."""
    return _classes(FILTERS)


def all_weighers():
    """The weigher classes that are installed."""
    return _classes(WEIGHERS)


def _classes(namespace):
    def fail(manager, entry_point, error):
        # A scheduler that starts without its filter places GPUs wrongly and
        # says nothing.
        raise error

    return [
        extension.plugin for extension in stevedore.ExtensionManager(
            namespace, on_load_failure_callback=fail)]
