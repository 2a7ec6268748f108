"""
A simulator of Azure Backup's jobs: a real HTTP server that speaks Azure Resource Manager's job API.

It serves the demo (``python -m demo.simulator``) and the tests. Jobs live through their states on a clock that can be sped
up, and whatever can go wrong between a client and Azure can be made to go wrong here.
"""

from demo.simulator.clock import ManualClock, SimulatedClock
from demo.simulator.entra import EntraSimulator, SignIn
from demo.simulator.fault_rules import FaultRule, FaultRules
from demo.simulator.faults import Fault
from demo.simulator.holds import Hold
from demo.simulator.hosting import running
from demo.simulator.operations import Operation, OperationState
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
    "RequestRecord",
    "SignIn",
    "SimulatedClock",
    "State",
    "Transfer",
    "Vault",
    "running",
    "running_simulator",
]
