#!/bin/bash
#
# plugin.sh - DevStack calls it in each of its phases
#
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

source $AI_FACTORY_DIR/devstack/lib/config
source $AI_FACTORY_DIR/devstack/lib/nova
source $AI_FACTORY_DIR/devstack/lib/ironic
source $AI_FACTORY_DIR/devstack/lib/swift

# Call a function of each of our services that is enabled and has it
# ai_factory_each step
function ai_factory_each {
    local service
    for service in nova ironic swift; do
        if is_service_enabled ai-factory-$service && function_exists ai_factory_${1}_$service; then
            ai_factory_${1}_$service
        fi
    done
}

# ai_factory_check
function ai_factory_check {
    if [[ -n "$AI_FACTORY_FAKE_GPUS" ]] && ! is_service_enabled ai-factory-nova; then
        die $LINENO "AI_FACTORY_FAKE_GPUS needs the service ai-factory-nova"
    fi
    if [[ -n "$AI_FACTORY_FAKE_MACHINES" ]] && ! is_service_enabled ai-factory-ironic; then
        die $LINENO "AI_FACTORY_FAKE_MACHINES needs the service ai-factory-ironic"
    fi
    ai_factory_each check
}

# Install the package, with what the services need of it
# ai_factory_install
function ai_factory_install {
    local extras=""
    if is_service_enabled ai-factory-nova; then
        extras=nova
    fi
    setup_develop $AI_FACTORY_DIR $extras
    ai_factory_each install
}

# ai_factory_configure_tempest
function ai_factory_configure_tempest {
    iniset $TEMPEST_CONFIG service_available ai_factory True
    ai_factory_each configure_tempest
}

if is_service_enabled ai-factory-nova ai-factory-ironic ai-factory-swift; then

    if [[ "$1" == "stack" && "$2" == "pre-install" ]]; then
        echo_summary "Checking the options of ai-factory-plugins"
        ai_factory_check
        # What an earlier run has left, if unstack.sh did not run.
        ai_factory_undo
        mkdir -p "$AI_FACTORY_STATE"
        rm -f "$AI_FACTORY_STATE/ironic-configured"
        touch "$AI_FACTORY_STATE/begun"

    elif [[ "$1" == "stack" && "$2" == "install" ]]; then
        echo_summary "Installing ai-factory-plugins"
        ai_factory_install

    elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
        echo_summary "Configuring ai-factory-plugins"
        ai_factory_each configure

    elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
        echo_summary "Starting ai-factory-plugins"
        ai_factory_each start

    elif [[ "$1" == "stack" && "$2" == "test-config" ]]; then
        ai_factory_each enrol
        if is_service_enabled tempest; then
            echo_summary "Configuring Tempest for ai-factory-plugins"
            ai_factory_configure_tempest
        fi
    fi
fi

# What earlier runs have left goes, whatever is enabled now.
if [[ "$1" == "unstack" ]]; then
    echo_summary "Removing ai-factory-plugins from the services"
    ai_factory_stop_nova
    ai_factory_undo
    rm -rf "$AI_FACTORY_STATE"

elif [[ "$1" == "clean" ]]; then
    ai_factory_undo
    rm -rf "$AI_FACTORY_STATE"
    pip_uninstall ai-factory-plugins
    if [[ -n "$AI_FACTORY_FAKE_MACHINES" ]]; then
        pip_uninstall ironic-python-agent
    fi
fi
