"""
A simulator of Azure Backup jobs: a real HTTP server with the job API of Azure Resource Manager.

The demo (``python -m demo.simulator``) and the tests use it. Its jobs change state on a clock that can run faster
than real time. It can also inject failures between a client and Azure.
"""

from demo.simulator.clock import ManualClock, SimulatedClock
from demo.simulator.entra import EntraSimulator, SignIn
from demo.simulator.fault_rules import FaultRule, FaultRules
from demo.simulator.faults import Fault
from demo.simulator.holds import Hold
from demo.simulator.hosting import running
from demo.simulator.operations import Operation, OperationState
from demo.simulator.protection import (
    ProtectedItem,
    StartedBackup,
    backup_instance,
    backup_policy,
    database,
    file_share,
    virtual_machine,
)
from demo.simulator.quotas import Bucket
from demo.simulator.records import RequestRecord
from demo.simulator.server import AzureSimulator, running_simulator
from demo.simulator.timeline import Job, State, Transfer
from demo.simulator.vaults import BackupVault, Vault

__all__ = [
    "AzureSimulator",
    "BackupVault",
    "Bucket",
    "EntraSimulator",
    "Fault",
    "FaultRule",
    "FaultRules",
    "Hold",
    "Job",
    "ManualClock",
    "Operation",
    "OperationState",
    "ProtectedItem",
    "RequestRecord",
    "SignIn",
    "SimulatedClock",
    "StartedBackup",
    "State",
    "Transfer",
    "Vault",
    "backup_instance",
    "backup_policy",
    "database",
    "file_share",
    "running",
    "running_simulator",
    "virtual_machine",
]
